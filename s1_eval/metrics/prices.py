"""What a row costs in US dollars, at prices that the user gives: of tokens, or of a machine's time.
No price is known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from s1_eval.errors import UserError
from s1_eval.names import choose_from
from s1_eval.records import OwnRow, Run

ANY = "*"
"""The name of whatever has no price of its own."""

_LARGEST = 1 << 20
_DEAREST = 1e9
_MILLION = 1_000_000

EXAMPLE = """models:
  Qwen/Qwen3-8B: {input: 0.2, cached: 0.02, output: 0.8}   # dollars per million tokens
  "*": {gpu_hour: 2.5, gpus: 1}                            # or per GPU and hour
verifiers:
  nano-prm: {input: 0.1}
"""


class NoPrice(Exception):
    """The cost of a row is not known; says why."""


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars. input, output: per million tokens that are sent and sampled. cached: per million of
    those sent that a prefix cache supplies; as `input` where none is given. gpu_hour: for an hour
    of one GPU, in place of the others; gpus: how many of them run the model.
    """

    input: float | None = None
    output: float | None = None
    cached: float | None = None
    gpu_hour: float | None = None
    gpus: float = 1.0

    @classmethod
    def read(cls, said: Any, where: str, verifier: bool = False) -> Price:
        """Raises UserError, opening with `where`, on anything but prices."""
        names = [each.name for each in fields(cls)]
        if verifier:
            names = ["input", "gpu_hour", "gpus"]
        if not isinstance(said, Mapping):
            raise UserError(f"{where} is {said!r:.60}: give e.g. {{{names[0]}: 0.2}}")
        if unknown := [name for name in said if name not in names]:
            raise UserError(
                f"{where}: no price is called {unknown[0]!r:.60}: {_or(unknown, names)}"
            )
        for name, value in said.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 <= value <= _DEAREST or (name == "gpus" and not value):
                what = "how many there are" if name == "gpus" else "a number of dollars"
                raise UserError(f"{where}: {name} is {value!r:.60}: give {what}")
        tokens = [name for name in ("input", "output", "cached") if name in said]
        needed = ("input",) if verifier else ("input", "output")
        if "gpu_hour" in said:
            if tokens:
                raise UserError(
                    f"{where} has {tokens[0]} and gpu_hour: give prices of tokens or of time"
                )
        elif missing := [name for name in needed if name not in said]:
            raise UserError(
                f"{where} has no {missing[0]}: give {' and '.join(needed)}, or gpu_hour"
            )
        return cls(**{name: float(value) for name, value in said.items()})

    def tokens(self, sent: int | None, cached: int | None, sampled: int) -> float:
        """Of tokens sent, of them cached, and sampled. Raises NoPrice where a count is needed that
        is not known."""
        assert self.input is not None
        output = (self.output or 0.0) * sampled
        if self.cached is None or self.cached == self.input:
            cached = 0
        if not self.input and not self.cached:
            return output / _MILLION
        if sent is None:
            raise NoPrice("how many tokens were sent is not recorded")
        if cached is None:
            raise NoPrice(
                "how many of the tokens sent were cached is not known, since the server does not "
                "say or the sweep's cache answered: leave `cached` out of the prices, so that all "
                "are charged alike"
            )
        of_cache = (self.cached or 0.0) * cached
        return (self.input * (sent - cached) + of_cache + output) / _MILLION

    def seconds(self, taken: float) -> float:
        """Of the machine's time."""
        assert self.gpu_hour is not None
        return self.gpu_hour * self.gpus * taken / 3600


@dataclass(frozen=True, slots=True)
class Prices:
    """By the names that records have, or `ANY`. source: where they stand, for messages."""

    models: Mapping[str, Price]
    verifiers: Mapping[str, Price] = field(default_factory=dict)
    source: str = "the prices"

    def of(self, run: Run, row: OwnRow) -> float:
        """Dollars for a row. Raises NoPrice where it is not known."""
        price = self.model(run.model)
        reading = self._reading(run, row)
        if price.gpu_hour is None:
            sent, cached = row.get("prompt_tokens"), row.get("cached_tokens")
            return reading + price.tokens(sent, cached, row["generated_tokens"])
        if row.get("reused_tokens"):
            raise NoPrice(REUSED)
        taken = row.get("machine_seconds")
        if taken is None:
            raise NoPrice("the machine's time is not recorded")
        return reading + price.seconds(taken)

    def model(self, name: str) -> Price:
        """Raises NoPrice where there is none."""
        found = self.models.get(name) or self.models.get(ANY)
        if found is None:
            raise NoPrice(f"{self.source} has no price for the model {name}: add it under models")
        return found

    def _reading(self, run: Run, row: OwnRow) -> float:
        """Of the verifier's work; its time is the machine's where it has no price of its own and
        the model is paid by the hour."""
        if not row["verifier_tokens"]:
            return 0.0
        name = str((run.record.get("verifier") or {}).get("model"))
        price = self.verifiers.get(name) or self.verifiers.get(ANY)
        if price is None:
            if self.model(run.model).gpu_hour is not None:
                return 0.0
            raise NoPrice(
                f"{self.source} has no price for the verifier {name}: add it under verifiers"
            )
        if price.gpu_hour is None:
            return price.tokens(row["verifier_tokens"], 0, 0)
        taken: Any = row.get("verifier_seconds")
        if not isinstance(taken, int | float):
            raise NoPrice("the verifier's time is not recorded")
        return price.seconds(taken)


REUSED = (
    "part of what was sampled came from the sweep's cache, so the time is not that of the run "
    "alone: sweep with --no-cache to measure it"
)


def read_prices(path: str | Path) -> Prices:
    """The prices in a YAML file, see `EXAMPLE`. Raises UserError on anything else."""
    import yaml

    class Strict(yaml.SafeLoader):  # type: ignore[misc]
        """A name that stands there twice has two prices, and is refused."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            names = [self.construct_object(name, deep=True) for name, _ in node.value]
            if twice := [name for i, name in enumerate(names) if name in names[:i]]:
                raise yaml.YAMLError(f"{twice[0]!r:.60} stands there twice")
            return super().construct_mapping(node, deep)

    where = f"--prices {path}"
    try:
        with Path(path).open("rb") as file:
            text = file.read(_LARGEST + 1)
    except OSError as error:
        raise UserError(f"{where}: {error.strerror}: give a YAML file") from error
    if len(text) > _LARGEST:
        raise UserError(f"{where} has more than {_LARGEST:,} bytes, and prices are few")
    try:
        said = yaml.load(text, Strict)  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        told = " ".join(str(error).split())[:300]
        raise UserError(f"{where} is no YAML ({told}); one is\n{EXAMPLE}") from error
    if not isinstance(said, Mapping) or not isinstance(said.get("models"), Mapping):
        raise UserError(f"{where} has no `models` with prices; a file of prices is\n{EXAMPLE}")
    kinds = ("models", "verifiers")
    if unknown := [name for name in said if name not in kinds]:
        raise UserError(f"{where}: no part is called {unknown[0]!r:.60}: {_or(unknown, kinds)}")
    read: dict[str, dict[str, Price]] = {}
    for kind in kinds:
        given = said.get(kind) or {}
        if not isinstance(given, Mapping):
            raise UserError(f"{where}: {kind} is {given!r:.60}: give names with prices")
        read[kind] = {
            str(name): Price.read(price, f"{where}: {kind}: {name}", kind == "verifiers")
            for name, price in given.items()
        }
    return Prices(read["models"], read["verifiers"], str(path))


def _or(unknown: list[Any], known: Any) -> str:
    return f"{unknown[0]!r:.60}: {choose_from(str(unknown[0]), known)}"
