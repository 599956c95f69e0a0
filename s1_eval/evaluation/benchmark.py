"""Benchmarks: what a sample is, where its data comes from, and which grader decides. How a
harness runs one stands in the adapters beside this file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import inspect
import json
import logging
import os
import pkgutil
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from s1_eval.answers import Grader, Verdict, grader
from s1_eval.answers.choices import ChoiceGrader
from s1_eval.errors import UserError
from s1_eval.evaluation.foreign import Foreign
from s1_eval.evaluation.hub import Hub as Hub
from s1_eval.evaluation.hub import read_hub
from s1_eval.evaluation.tables import READERS, read_file
from s1_eval.evaluation.tables import Row as Row
from s1_eval.evaluation.tables import read_rows as read_rows
from s1_eval.names import choose_from
from s1_eval.records.dates import check_date, first_day
from s1_eval.thinking import Message

_LOGGER = logging.getLogger(__name__)

DATA_VARIABLE = "S1_EVAL_DATA"


def listed() -> Mapping[str, str]:
    """Every file of `tasks/`, without importing one: `aime24.py` holds the benchmark `AIME24`."""
    folder = importlib.util.find_spec("s1_eval.tasks")
    places = folder.submodule_search_locations if folder else ()
    names = [module.name for module in pkgutil.iter_modules(places)]
    return {name: f"s1_eval.tasks.{name}:{name.upper()}" for name in names}


BENCHMARKS = listed()


@dataclass(frozen=True, slots=True)
class Sample:
    """One question of a benchmark.

    prompt: the user message, whole. target: the right answer, as the grader reads it.
    options: the texts of a multiple-choice question's options in the order they are shown.
    system: the question's own system message, None without one.
    metadata: what else the data says, kept in logs, and in records where it is short, see `labels`.
    turns: what else is said before the question, few-shot examples for one.
    grader: how this question is graded where not as its benchmark says, see `open_grader`.
    published: when it became public, where that is not its benchmark's date.
    question: its own words, where the prompt says more.
    """

    id: str
    prompt: str
    target: str
    options: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    system: str | None = None
    turns: tuple[Message, ...] = ()
    grader: Mapping[str, Any] | None = None
    published: str | None = None
    question: str | None = None

    @property
    def words(self) -> str:
        """What no training data may repeat."""
        return self.prompt if self.question is None else self.question

    @property
    def before(self) -> tuple[Message, ...]:
        """What is said before the question."""
        system = () if self.system is None else ({"role": "system", "content": self.system},)
        return (*system, *self.turns)

    @property
    def labels(self) -> dict[str, Any]:
        """The metadata by which scores can be told apart: numbers, short texts, short lists."""
        return {name: value for name, value in self.metadata.items() if _is_label(value)}

    @property
    def told(self) -> dict[str, Any]:
        """What its records say of it beside its answer."""
        known = {"metadata": self.labels, "published": self.published, "grader": self.grader}
        return {name: value for name, value in known.items() if value}


_LONGEST_LABEL = 100


def _is_label(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_LABEL
    if isinstance(value, list | tuple):
        return len(value) <= 10 and all(isinstance(v, str) and _is_label(v) for v in value)
    return value is None or (isinstance(value, int | float) and value == value)  # NaN is none


@dataclass(frozen=True)
class Data:
    """The samples that were loaded, and from where. A local file has no revision.

    chosen: how they were taken from there: `columns`, `split`, `since`, `shuffle`.
    unshuffled: the samples in the data's own order, where theirs is another.
    """

    samples: tuple[Sample, ...]
    id: str
    revision: str | None = None
    chosen: Mapping[str, Any] = field(default_factory=dict)
    unshuffled: tuple[Sample, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything that can change a score: ids, prompts, targets, options, and system
        messages and graders of their own where there are any. Their order is the data's own."""
        digest = hashlib.sha256(b"[")
        between = b""
        for s in self.unshuffled or self.samples:
            grader = None if s.grader is None else json.dumps(s.grader, sort_keys=True)
            rare = (s.system, s.turns or None, grader)
            known: list[Any] = [own for own in rare if own is not None]
            row = [s.id, s.prompt, s.target, s.options, *known]
            digest.update(between + json.dumps(row, separators=(",", ":")).encode())
            between = b","
        digest.update(b"]")
        return digest.hexdigest()


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: rows of data, how one becomes a sample, and how it is graded.

    sample: one row as a sample. KeyError and ValueError are reported as a fault of the row.
    grader, strictness: see `s1_eval.answers.grader`.
    file: its name under FOLDER/benchmarks, and `read`: the rows of that file.
    hub: where the rows come from by default; without it, `generate` makes them.
    foreign: what it brings along where it is somebody else's task, see `Foreign`.
    secret: its authors ask that no question ever stands on the web in plain text, so training
        never writes one, and nothing that publishes shows one.
    published: when the first of its questions became public: a day, a month or a year. None where
        they never were, or that is not known.
    licence: of the data, as its card says.
    keep_unreadable: targets that the grader can't read are named and kept, as they count for the
        authors; an answer is right where it is spelled like them. Otherwise they are refused.
    takes: makes the benchmark of arguments of its own, e.g. of a month.
    strata: the label of its questions that intervals are stratified by, e.g. the contest.
    """

    name: str
    sample: Callable[[Row], Sample]
    grader: str
    strictness: Mapping[str, Any] = field(default_factory=dict)
    file: str | None = None
    read: Callable[[Path], Iterable[Row]] = read_file
    hub: Hub | None = None
    generate: Callable[[], Iterable[Row]] | None = None
    secret: bool = False
    foreign: Foreign | None = None
    published: str | None = None
    licence: str | None = None
    keep_unreadable: bool = False
    takes: Callable[..., Benchmark] | None = None
    strata: str | None = None

    def given(self, **arguments: Any) -> Benchmark:
        """The benchmark at arguments of its own. Raises UserError on those that it does not take,
        and on what is wrong with the others."""
        if not arguments:
            return self
        check_arguments(self.name, self.takes, arguments)
        assert self.takes is not None
        return self.takes(**arguments)

    def load(
        self, data: str | None = None, *, since: object = None, shuffle: int | None = None
    ) -> Data:
        """The samples from `data` (a file, or a folder with benchmarks/FILE), else from the folder
        that S1_EVAL_DATA names, else from the hub.

        since: a date; only questions that became public then or later. shuffle: the seed of
        another order than the data's own.
        Raises UserError where there is no such file, or a row that is no sample, or no date.
        """
        found = self.loaded(data)
        if since is not None:
            found = self._newer(found, check_date(since, "since"))
        if shuffle is not None:
            found = _shuffled(found, shuffle)
        return found

    def loaded(self, data: str | None = None) -> Data:
        """All samples, in the data's own order, see `load`."""
        check_arguments(self.name, self.takes, {})
        if path := self._path(data):
            return Data(self._samples(self.read(path), str(path)), path.name)
        if self.hub:
            read = read_hub(
                self.hub,
                f"give data=PATH, or set {DATA_VARIABLE} to a folder that has the file of "
                f"{self.name} under benchmarks/",
            )
            rows = self._samples(read.rows, self.hub.dataset)
            return Data(rows, self.hub.dataset, read.revision)
        if self.generate is None:
            raise UserError(f"{self.name} has no data of its own: give data=PATH")
        samples = self._samples(self.generate(), self.name)
        if self.foreign:
            return Data(samples, self.foreign.dataset, self.foreign.revision)
        return Data(samples, self.name)

    def about(self, data: Data) -> dict[str, Any]:
        """What every sample of a harness's log says about its benchmark, as plain data."""
        source = {"id": data.id, "revision": data.revision, "fingerprint": data.fingerprint}
        return {
            "task": self.name,
            "dataset": {**source, **data.chosen},
            "grader": {"name": self.grader, **self.strictness},
            "secret": None if self.foreign else self.secret,
            **({"scorer": dict(self.foreign.scorer)} if self.foreign else {}),
            **({} if self.published is None else {"published": self.published}),
            **({} if self.strata is None else {"strata": self.strata}),
        }

    def _newer(self, data: Data, since: str) -> Data:
        dates = {s.id: s.published or self.published for s in data.samples}
        if undated := [id for id, known in dates.items() if known is None]:
            raise UserError(
                f"since={since}: when {len(undated)} of the {len(dates)} questions of {self.name} "
                f"became public is not known ({undated[0]!r:.60}, …): leave since out"
            )
        kept = tuple(s for s in data.samples if first_day(dates[s.id] or "") >= first_day(since))
        if not kept:
            newest = max(filter(None, dates.values()), key=first_day)
            raise UserError(
                f"since={since}: no question of {self.name} is as new, the newest is of {newest}"
            )
        return replace(data, samples=kept, chosen={**data.chosen, "since": since})

    def _path(self, data: str | None) -> Path | None:
        """The local file to read, if one was asked for."""
        if data is not None and self.foreign:
            raise UserError(
                f"data={data}: {self.name} reads its own data: leave it out, and give what the "
                "task itself takes by -T KEY=VALUE"
            )
        if data is not None:
            given = Path(data).expanduser()
            inside = [*self._inside(given / "benchmarks"), *self._inside(given)]
            path = next((p for p in (given, *inside) if p.is_file()), None)
            if path is None:
                wanted = f" or a folder with benchmarks/{self.file}" if self.file else ""
                raise UserError(f"data={data}: give a file{wanted}; nothing readable is there")
            return path
        folder = os.environ.get(DATA_VARIABLE)
        if not folder or not self.file:
            return None
        inside = self._inside(Path(folder).expanduser() / "benchmarks")
        path = next((p for p in inside if p.is_file()), None)
        if path is None:
            raise UserError(
                f"{DATA_VARIABLE}={folder} has no {self.file}: put it at {inside[0]}, give "
                f"data=PATH, or unset {DATA_VARIABLE} to read {self.name} from the hub"
            )
        return path

    def _inside(self, folder: Path) -> list[Path]:
        """Where its file may be in a folder: as it is called, or with another ending."""
        if not self.file:
            return []
        named = folder / self.file
        return [named, *(named.with_suffix(each) for each in READERS if self.read is read_file)]

    def _samples(self, rows: Iterable[Row], where: str) -> tuple[Sample, ...]:
        check = open_grader({"name": self.grader, **self.strictness})
        samples: dict[str, Sample] = {}
        unreadable: list[str] = []
        for number, row in enumerate(rows, 1):
            try:
                sample = self.sample(row)
                _check_text(sample)
                reader = check if sample.grader is None else open_grader(sample.grader)
                try:
                    self.check_target(reader, sample)
                except UserError:
                    if not self.keep_unreadable:
                        raise
                    unreadable.append(sample.id)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                said = f"no field {error}" if isinstance(error, KeyError) else str(error)
                raise UserError(
                    f"{where}, row {number}: not a sample of {self.name}: {said}"
                ) from error
            if sample.id in samples:
                first = 1 + list(samples).index(sample.id)
                raise UserError(
                    f"{where}, row {number}: the id {sample.id!r} occurs twice, "
                    f"first in row {first}"
                )
            samples[sample.id] = sample
        if not samples:
            raise UserError(f"{where} has no rows: give the data of {self.name}")
        if unreadable:
            _LOGGER.warning(
                "%s: the targets of %s of %s questions can't be read (%s): an answer is right "
                "there where it is spelled the same",
                *(self.name, len(unreadable), len(samples), ", ".join(unreadable[:20])),
            )
        return tuple(samples.values())

    def check_target(self, reader: Grader, sample: Sample) -> None:
        """Raises UserError on a target that the grader can't read."""
        reader.check_target(sample.target)


def _shuffled(data: Data, seed: int) -> Data:
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise UserError(f"shuffle={seed!r}: give a seed, a whole number")
    samples = list(data.samples)
    random.Random(seed).shuffle(samples)  # noqa: S311
    chosen = {**data.chosen, "shuffle": seed}
    return replace(data, samples=tuple(samples), chosen=chosen, unshuffled=data.samples)


def _check_text(sample: Sample) -> None:
    """Raises ValueError on half of a surrogate pair, which no tokenizer takes and no file holds."""
    named = (("id", sample.id), ("prompt", sample.prompt), ("target", sample.target))
    for name, text in (*named, *(("option", each) for each in sample.options)):
        _check_encodes(name, text)
    _check_encodes("system message", sample.system or "")


def _check_encodes(name: str, text: str) -> None:
    if not isinstance(text, str):
        raise ValueError(f"the {name} is {text!r:.80}, which is no text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the {name} has {text[error.start]!a} at character {error.start + 1}, half of a "
            "surrogate pair, which is no text: mend the row"
        ) from None


def hash_id(question: str) -> str:
    """The id of a question whose copies number it differently or not at all: its words' hash."""
    return hashlib.sha256(" ".join(question.split()).encode()).hexdigest()[:12]


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


def check_arguments(
    name: str, takes: Callable[..., Benchmark] | None, given: Mapping[str, Any]
) -> None:
    """Raises UserError on an argument of a task that it does not take, and where one is missing."""
    known = {} if takes is None else inspect.signature(takes).parameters
    if strange := [each for each in given if each not in known]:
        own = f"it takes {', '.join(known)}" if known else "it takes none"
        raise UserError(f"{name} takes no argument {', '.join(strange)}: {own}")
    for each, parameter in known.items():
        if parameter.default is parameter.empty and each not in given:
            raise UserError(f"{name} needs an argument: give -T {each}=…")


def ask(
    benchmark: Benchmark,
    data: str | None = None,
    since: object = None,
    shuffle: int | None = None,
    **arguments: Any,
) -> tuple[Benchmark, Data]:
    """A benchmark as its arguments make it, and its questions: what a harness's task is made of.

    data, since, shuffle: see `Benchmark.load`. arguments: its own, see `Benchmark.given`.
    """
    takes = {} if benchmark.takes is None else inspect.signature(benchmark.takes).parameters
    if data is not None and "data" in takes:
        arguments["data"], data = data, None
    made = benchmark.given(**arguments)
    return made, made.load(data, since=since, shuffle=shuffle)


def about_sample(about: Mapping[str, Any], sample: Sample) -> dict[str, Any]:
    """`Benchmark.about`, with what the sample's own records say under `sample`."""
    return {**about, **({"sample": told} if (told := sample.told) else {})}


def grader_of(about: Mapping[str, Any]) -> Mapping[str, Any]:
    """The grader of the sample that `about_sample` describes, as data."""
    found: Mapping[str, Any] = about.get("sample", {}).get("grader") or about["grader"]
    return found


def graded_by(about: Mapping[str, Any], grader: Mapping[str, Any]) -> dict[str, Any]:
    """What `about_sample` gives, with another grader."""
    own = {name: value for name, value in about.get("sample", {}).items() if name != "grader"}
    return {**about, "grader": grader, "sample": own}


def grader_data(opened: Grader) -> dict[str, Any]:
    """The grader as `open_grader` takes it, with every setting, those left at their default too:
    the one spelling in records."""
    settings: Any = getattr(opened, "strictness", opened)
    given = settings.to_dict() if hasattr(settings, "to_dict") else dataclasses.asdict(settings)
    return {"name": opened.name, **given}
