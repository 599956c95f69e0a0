"""What `--gen_kwargs` of lm-eval means: a method, its settings and how to sample. Our own parameter
names and the reference's (simplescaling/s1) are both understood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from s1_eval.engines.protocol import Sampling
from s1_eval.errors import UserError
from s1_eval.methods import method as known_method
from s1_eval.methods import settings
from s1_eval.methods.method import ANSWER_LIMITS
from s1_eval.names import nearest
from s1_eval.typed import flat
from s1_eval.verifiers.table import VerifierSpec, parse_verifier

ALIASES: Mapping[str, str] = {
    "max_tokens_thinking": "max_thinking_tokens",
    "min_tokens_thinking": "min_thinking_tokens",
    "thinking_n_ignore": "num_ignores",
    "thinking_n_ignore_str": "ignore_string",
}
"""The reference's names for budget forcing's parameters. Its `until_thinking` and
`temperature_thinking` are ours too; `thinking_start`, `thinking_end` and `rejection_sample` are
read in `read_gen_kwargs`."""

LIMITS = ("max_gen_toks", "max_new_tokens", "max_tokens")
"""lm-eval's names for the length of an answer."""


@dataclass(frozen=True, slots=True)
class GenKwargs:
    """method, settings: see `s1_eval.methods`. until: texts that cut the answer, never the
    thinking. verifier: what the method searches by, see `open_verifier`."""

    method: str
    settings: Any
    sampling: Sampling
    until: tuple[str, ...] = ()
    verifier: VerifierSpec | None = None

    @property
    def sampled(self) -> bool:
        """Whether anything is sampled."""
        return bool(self.sampling.temperature or flat(self.settings).get("temperature_thinking"))

    @property
    def repeatable(self) -> bool:
        """Whether the same request gives the same answer again."""
        return not self.sampled or self.sampling.seed is not None


def read_gen_kwargs(gen_kwargs: Mapping[str, Any]) -> GenKwargs:
    """What to run. Without `method=NAME` it is budget forcing if any parameter of a method is
    given, else the unforced run.

    Raises UserError on an unknown or contradictory parameter. Needs no model.
    """
    given = dict(gen_kwargs)
    until = _texts(given.pop("until", None))
    temperatures = (given.get("temperature"), given.get("temperature_thinking"))
    sampling = _sampling(given, sampled=any(t is not None and t > 0 for t in temperatures))
    params: dict[str, Any] = {}
    limit = _only_one(given, LIMITS)
    method = given.pop("method", None)
    verifier = given.pop("verifier", None)
    if verifier is not None:
        parse_verifier(verifier)
    if given.pop("rejection_sample", False):
        if method not in (None, "rejection_sampling"):
            raise UserError(f"rejection_sample contradicts method={method}: give one of them")
        method = "rejection_sampling"
    if "thinking_start" in given or "thinking_end" in given:
        params["thinking_format"] = _delimiters(given)
    if "until_thinking" in given:
        params["until_thinking"] = _texts(given.pop("until_thinking"))
    for name, value in given.items():
        close = nearest(name, ALIASES, cutoff=0.85)
        if close and name not in ALIASES:
            raise UserError(f"unknown parameter {name!r}: did you mean {close!r}?")
        own = ALIASES.get(name, name)
        if own != name and own in given:
            raise UserError(f"{name} and {own} are two names of one parameter: give one of them")
        params[own] = value
    if method is None:
        method = "budget_forcing" if params else "plain"
    if limit is not None:
        params[known_method(method).answer_limit or ANSWER_LIMITS[0]] = limit
    return GenKwargs(method, settings(method, params), sampling, until, verifier)


def _sampling(given: dict[str, Any], *, sampled: bool) -> Sampling:
    """Takes the sampling's own keys out of `given`.

    lm-eval's --use_cache keeps what is not sampled, and tells by `do_sample`.
    """
    do_sample = bool(given.pop("do_sample", False))
    if sampled and not do_sample:
        raise UserError(
            "a temperature above 0 with do_sample=False: add do_sample=True to --gen_kwargs, "
            "or leave the temperature out"
        )
    if do_sample and given.get("temperature") is None:
        raise UserError("do_sample=True without a temperature: add e.g. temperature=1.0")
    keys = ("temperature", "top_p", "top_k", "seed", "logprobs")
    found = {k: v for k in keys if (v := given.pop(k, None)) is not None}
    return Sampling(**found)


def _only_one(given: dict[str, Any], names: Sequence[str]) -> Any:
    found = {name: given.pop(name) for name in names if name in given}
    if len(set(found.values())) > 1:
        raise UserError(f"{' and '.join(found)} are one limit: give one of them")
    return next(iter(found.values()), None)


def _delimiters(given: dict[str, Any]) -> dict[str, str]:
    start, end = given.pop("thinking_start", None), given.pop("thinking_end", None)
    if start is None or end is None or "thinking_format" in given:
        raise UserError(
            "give thinking_start and thinking_end together, or thinking_format=START...END"
        )
    return {"start": str(start), "end": str(end)}


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
