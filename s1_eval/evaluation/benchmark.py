"""Benchmarks: what a sample is, where its data comes from, and which grader decides. How a
harness runs one stands in the adapters beside this file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import os
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from s1_eval.answers import Grader, Verdict, grader
from s1_eval.answers.choices import ChoiceGrader
from s1_eval.errors import UserError
from s1_eval.evaluation.foreign import Foreign
from s1_eval.libraries import needs
from s1_eval.names import choose_from
from s1_eval.thinking import Message

DATA_VARIABLE = "S1_EVAL_DATA"


def listed() -> Mapping[str, str]:
    """Every file of `tasks/`, without importing one: `aime24.py` holds the benchmark `AIME24`."""
    folder = importlib.util.find_spec("s1_eval.tasks")
    places = folder.submodule_search_locations if folder else ()
    names = [module.name for module in pkgutil.iter_modules(places)]
    return {name: f"s1_eval.tasks.{name}:{name.upper()}" for name in names}


BENCHMARKS = listed()

Row = Mapping[str, Any]


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a .jsonl file, or of a .json file that holds a list.

    Lines end at a line feed only: texts may contain U+2028 and the like.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"can't read {path}: {error}") from error
    if path.suffix == ".json":
        rows = _parse(text, str(path))
        if not isinstance(rows, list):
            raise UserError(f"{path} holds no list: give one object per question")
        yield from rows
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _parse(line, f"{path}, line {number}")


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{where} is not JSON: {error}") from error


@dataclass(frozen=True, slots=True)
class Sample:
    """One question of a benchmark.

    prompt: the user message, whole. target: the right answer, as the grader reads it.
    options: the texts of a multiple-choice question's options in the order they are shown.
    system: the question's own system message, None without one.
    metadata: what else the data says, kept in logs.
    turns: what else is said before the question, few-shot examples for one.
    """

    id: str
    prompt: str
    target: str
    options: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    system: str | None = None
    turns: tuple[Message, ...] = ()

    @property
    def before(self) -> tuple[Message, ...]:
        """What is said before the question."""
        system = () if self.system is None else ({"role": "system", "content": self.system},)
        return (*system, *self.turns)


@dataclass(frozen=True, slots=True)
class Hub:
    """A data set on the Hugging Face hub.

    revision: a commit; seven digits are enough where no more is known.
    """

    dataset: str
    revision: str
    split: str
    name: str | None = None


@dataclass(frozen=True)
class Data:
    """The samples that were loaded, and from where. A local file has no revision."""

    samples: tuple[Sample, ...]
    id: str
    revision: str | None = None

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything that can change a score: ids, prompts, targets, options, and system
        messages where there are any."""
        rows = [
            [s.id, s.prompt, s.target, s.options, *filter(None.__ne__, (s.system, s.turns or None))]
            for s in self.samples
        ]
        canonical = json.dumps(rows, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark: rows of data, how one becomes a sample, and how it is graded.

    sample: one row as a sample. KeyError and ValueError are reported as a fault of the row.
    grader, strictness: see `s1_eval.answers.grader`.
    file: its name under FOLDER/benchmarks, and `read`: the rows of that file.
    hub: where the rows come from by default; without it, `generate` makes them.
    foreign: what it brings along where it is somebody else's task, see `Foreign`.
    secret: its authors ask that no question ever stands on the web in plain text, so training
        never writes one, and nothing that publishes shows one.
    """

    name: str
    sample: Callable[[Row], Sample]
    grader: str
    strictness: Mapping[str, Any] = field(default_factory=dict)
    file: str | None = None
    read: Callable[[Path], Iterable[Row]] = read_rows
    hub: Hub | None = None
    generate: Callable[[], Iterable[Row]] | None = None
    secret: bool = False
    foreign: Foreign | None = None

    def load(self, data: str | None = None) -> Data:
        """The samples from `data` (a file, or a folder with benchmarks/FILE), else from the folder
        that S1_EVAL_DATA names, else from the hub.

        Raises UserError where there is no such file, or a row that is no sample.
        """
        if path := self._path(data):
            return Data(self._samples(self.read(path), str(path)), path.name)
        if self.hub:
            rows = hub_rows(self.hub, self.name)
            return Data(self._samples(rows, self.hub.dataset), self.hub.dataset, self.hub.revision)
        assert self.generate, f"{self.name} has neither a hub data set nor a generator"
        samples = self._samples(self.generate(), self.name)
        if self.foreign:
            return Data(samples, self.foreign.dataset, self.foreign.revision)
        return Data(samples, self.name)

    def about(self, data: Data) -> dict[str, Any]:
        """What every sample of a harness's log says about its benchmark, as plain data."""
        dataset = {"id": data.id, "revision": data.revision, "fingerprint": data.fingerprint}
        return {
            "task": self.name,
            "dataset": dataset,
            "grader": {"name": self.grader, **self.strictness},
            "secret": None if self.foreign else self.secret,
            **({"scorer": dict(self.foreign.scorer)} if self.foreign else {}),
        }

    def _path(self, data: str | None) -> Path | None:
        """The local file to read, if one was asked for."""
        if data is not None and self.foreign:
            raise UserError(
                f"data={data}: {self.name} reads its own data: leave it out, and give what the "
                "task itself takes by -T KEY=VALUE"
            )
        if data is not None:
            given = Path(data).expanduser()
            inside = [given / "benchmarks" / self.file, given / self.file] if self.file else []
            path = next((p for p in (given, *inside) if p.is_file()), None)
            if path is None:
                wanted = f" or a folder with benchmarks/{self.file}" if self.file else ""
                raise UserError(f"data={data}: give a file{wanted}; nothing readable is there")
            return path
        folder = os.environ.get(DATA_VARIABLE)
        if not folder or not self.file:
            return None
        path = Path(folder).expanduser() / "benchmarks" / self.file
        if not path.is_file():
            raise UserError(
                f"{DATA_VARIABLE}={folder} has no {self.file}: put it at {path}, give data=PATH, "
                f"or unset {DATA_VARIABLE} to read {self.name} from the hub"
            )
        return path

    def _samples(self, rows: Iterable[Row], where: str) -> tuple[Sample, ...]:
        check = open_grader({"name": self.grader, **self.strictness})
        samples: dict[str, Sample] = {}
        for number, row in enumerate(rows, 1):
            try:
                sample = self.sample(row)
                _check_text(sample)
                check.check_target(sample.target)
            except (KeyError, TypeError, ValueError) as error:
                said = f"no field {error}" if isinstance(error, KeyError) else str(error)
                raise UserError(
                    f"{where}, row {number}: not a sample of {self.name}: {said}"
                ) from error
            if sample.id in samples:
                raise UserError(f"{where}, row {number}: the id {sample.id!r} occurs twice")
            samples[sample.id] = sample
        if not samples:
            raise UserError(f"{where} has no rows: give the data of {self.name}")
        return tuple(samples.values())


def _check_text(sample: Sample) -> None:
    """Raises ValueError on half of a surrogate pair, which no tokenizer takes and no file holds."""
    named = (("id", sample.id), ("prompt", sample.prompt), ("target", sample.target))
    for name, text in (*named, *(("option", each) for each in sample.options)):
        _check_encodes(name, text)
    _check_encodes("system message", sample.system or "")


def _check_encodes(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the {name} has {text[error.start]!a} at character {error.start + 1}, half of a "
            "surrogate pair, which is no text: mend the row"
        ) from None


def with_options(question: str, options: Sequence[str]) -> str:
    """The prompt of a multiple-choice question: the question, a blank line, and a line for each
    option, `A) …`. Raises ValueError on more options than letters."""
    letters = ChoiceGrader().letters
    if len(options) > len(letters):
        raise ValueError(f"{len(options)} options: give {len(letters)} or fewer")
    shown = (f"{letter}) {option}" for letter, option in zip(letters, options, strict=False))
    return "\n".join((question.strip() + "\n", *shown))


def benchmark(name: str) -> Benchmark:
    """The benchmark called `name`. Raises UserError with the nearest names otherwise."""
    if name not in BENCHMARKS:
        raise UserError(f"unknown task {name!r}: {choose_from(name, BENCHMARKS)}")
    found: Benchmark = pkgutil.resolve_name(BENCHMARKS[name])
    return found


@dataclass(frozen=True, slots=True)
class SameText:
    """The grader of a task that we know nothing about: for methods that compare answers with each
    other, where equal means spelled the same."""

    name: ClassVar[str] = "same_text"

    def check_target(self, target: str) -> None:
        """Any text is a target."""

    def grade(self, answer: str, target: str, options: Sequence[str] = ()) -> Verdict:
        answer = answer.strip()
        return Verdict(answer == target.strip(), bool(answer), answer, "same text")


def open_grader(spec: Mapping[str, Any] | None) -> Grader:
    """The grader that `about` describes: its name and its strictness."""
    if spec is None or spec["name"] == SameText.name:
        return SameText()
    return grader(spec["name"], **{k: v for k, v in spec.items() if k != "name"})


def grader_data(opened: Grader) -> dict[str, Any]:
    """The grader as `open_grader` takes it, with every setting, those left at their default too:
    the one spelling in records."""
    settings: Any = getattr(opened, "strictness", opened)
    given = settings.to_dict() if hasattr(settings, "to_dict") else dataclasses.asdict(settings)
    return {"name": opened.name, **given}


def hub_rows(hub: Hub, name: str) -> Iterable[Row]:
    """The rows of a hub data set at its pinned revision. Raises UserError where there are none."""
    with needs():
        import datasets

    try:
        rows: Iterable[Row] = datasets.load_dataset(
            hub.dataset, hub.name, split=hub.split, revision=_commit(hub)
        )
    except Exception as error:  # the network's, the hub's and the file formats' are many
        raise UserError(
            f"can't read {hub.dataset} at revision {hub.revision} from the hub: "
            f"{type(error).__name__}: {str(error)[:300]}\n"
            f"Without the hub: give data=PATH, or set {DATA_VARIABLE} to a folder that has the "
            f"file of {name} under benchmarks/"
        ) from error
    return rows


def _commit(hub: Hub) -> str:
    """The full commit of `hub.revision`; the hub itself takes no abbreviation."""
    if len(hub.revision) == 40 or Path(hub.dataset).is_dir():
        return hub.revision
    from huggingface_hub import HfApi

    commits = [c.commit_id for c in HfApi().list_repo_commits(hub.dataset, repo_type="dataset")]
    found = [id for id in commits if id.startswith(hub.revision)]
    if len(found) != 1:
        raise ValueError(f"{len(found)} commits begin with {hub.revision}")
    return found[0]
