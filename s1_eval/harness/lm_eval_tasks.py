"""What our lm-eval task files name: the data of a benchmark, the scoring of its answers, and how
scores add up. The functions are called by lm-eval alone, and it calls the ones in `tasks/`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import json
from collections.abc import Callable, ItemsView, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from s1_eval import libraries
from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import (
    BENCHMARKS,
    Benchmark,
    about_sample,
    ask,
    benchmark,
    grader_of,
    open_grader,
)
from s1_eval.evaluation.grading import judged, whole_row
from s1_eval.records.readers import OTHER_EPOCHS
from s1_eval.records.sample import as_row

ARGUMENTS = ("since", "shuffle")
"""What any of our tasks takes by lm-eval's --metadata beside `data`, as JSON."""


def configs() -> dict[str, dict[str, Any]]:
    """What a YAML file would say of every benchmark, by its name in lm-eval: `s1_` and its own."""
    libraries.check(__name__)
    from lm_eval.tasks._yaml_loader import load_yaml

    ours: Any = importlib.util.find_spec("s1_eval.tasks")
    common = load_yaml(Path(ours.submodule_search_locations[0]) / "_lm_eval.yaml")
    return {
        f"s1_{name}": {
            **common,
            "task": f"s1_{name}",
            "custom_dataset": _loader(name),
            "metadata": {"version": 1.0},
        }
        for name in BENCHMARKS
    }


def _loader(name: str) -> Callable[..., dict[str, Any]]:
    def data_of(**told: Any) -> dict[str, Any]:
        return load(benchmark(name), **told)

    return data_of


class Generated(str):
    """A response as lm-eval passes it around: the text, and with it the record row it came with.
    Plain data only, so that it survives lm-eval's response cache.

    Made of one argument it is what `str` makes of it, with an empty row: lm-eval casts a target to
    the type of a response before it compares the two.
    """

    row: dict[str, Any]

    def __new__(cls, text: object = "", row: dict[str, Any] | None = None) -> Generated:
        generated = super().__new__(cls, text)
        generated.row = {} if row is None else row
        return generated

    def __getnewargs__(self) -> tuple[str, dict[str, Any]]:  # type: ignore[override]
        return str(self), self.row


def load(benchmark: Benchmark, data: str | None = None, **told: Any) -> dict[str, Any]:
    """The benchmark as lm-eval's `custom_dataset` returns one, in the split `test`.

    data: see `ask`. told: all that lm-eval knows, its own and the model's arguments among it.
    Raises UserError where questions have system messages: lm-eval has one for all of them.
    """
    import datasets

    own = [] if benchmark.takes is None else [*inspect.signature(benchmark.takes).parameters]
    known = {name: told[name] for name in (*ARGUMENTS, *own) if told.get(name) is not None}
    benchmark, loaded = ask(benchmark, data, **known)
    if any(sample.system is not None for sample in loaded.samples):
        raise UserError(
            f"{benchmark.name} has questions with system messages of their own, which lm-eval "
            "can't give: run it by Inspect or s1-eval sweep"
        )
    about = benchmark.about(loaded)
    rows = [
        {
            "id": sample.id,
            "prompt": sample.prompt,
            "target": sample.target,
            "options": list(sample.options),
            "about": json.dumps(about_sample(about, sample)),
        }
        for sample in loaded.samples
    ]
    return {"test": datasets.Dataset.from_list(rows)}


class KeepAll:
    """A filter that leaves every repeat of a question to the scoring; lm-eval's default keeps the
    first."""

    def apply(self, resps: Iterable[Any], docs: Sequence[Any]) -> Iterable[Any]:
        return resps


def process_results(doc: Mapping[str, Any], results: Sequence[Sequence[str]]) -> SampleLine:
    """Grade every repeat of one question.

    results: the question's one request, all its repeats. Responses of models that are not ours
    are graded too; they have no thinking to count.
    """
    (responses,) = results
    about, target, options = json.loads(doc["about"]), doc["target"], doc["options"]
    grader = open_grader(grader_of(about))
    rows = []
    for epoch, response in enumerate(responses, 1):
        solved = dict(response.row) if isinstance(response, Generated) else {}
        _check_question(doc, solved)
        solved.pop("asks", None)  # between the model and here alone: rows are alike everywhere
        if "run" in solved:
            # lm-eval's response cache does not know which repeat an answer was.
            solved |= {"response": str(response), "epoch": epoch}
            rows.append(whole_row(as_row(solved), about, target, options))
        else:
            theirs = as_row({"response": str(response)})
            rows.append(as_row(judged(theirs, target, grader, options)))
    answered = [row["correct"] for row in rows if row["answered"]]
    scores = {
        "exact_match": _mean([row["correct"] for row in rows]),
        "exact_match_answered": _mean(answered),
        "answered": len(answered) / len(rows),
    }
    if all("thinking_tokens" in row for row in rows):
        scores["thinking_tokens"] = _mean([row["thinking_tokens"] for row in rows])
    first, *others = rows
    return SampleLine({**first, **({OTHER_EPOCHS: others} if others else {})}, scores)


def asks(doc: Mapping[str, Any]) -> str:
    """A hash of what `doc` asks and how it is graded, to be held against what was answered."""
    asked = [doc.get(name) for name in ("prompt", "target", "options", "about")]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _check_question(doc: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """Raises UserError where lm-eval pairs this question with the answer to another one, or with
    a request of an earlier command."""
    if row.get("asks", asks(doc)) != asks(doc):
        raise UserError(
            f"the question {doc['id']} was given the answer to {row.get('sample_id')}, or to an "
            "earlier wording of it: lm-eval's caches know neither --samples nor the data; leave "
            "out --cache_requests and give another --use_cache"
        )
    if stale(doc):
        raise UserError(
            f"the question {doc['id']} was put by an earlier command and comes from lm-eval's "
            "request cache, which knows neither --samples nor --gen_kwargs: leave out "
            "--cache_requests"
        )


_worded: set[str] = set()
"""Ids of the questions that lm-eval has put in this process: others' requests are from a cache."""


def word(doc: Mapping[str, Any]) -> str:
    """The prompt of a question, as lm-eval asks for it where it builds the request itself."""
    _worded.add(doc["id"])
    prompt: str = doc["prompt"]
    return prompt


def stale(doc: Mapping[str, Any]) -> bool:
    """Whether a question of ours was not put in this process."""
    return "id" in doc and doc["id"] not in _worded


class SampleLine(dict[str, Any]):
    """What lm-eval writes for one question, and what it averages.

    As a mapping it is a line of samples_*.jsonl: the record of the first repeat, with those of the
    others under `other_epochs`. lm-eval averages whatever `items` gives, and records hold text, so
    `items` gives the scores over all repeats instead.
    """

    def __init__(self, record: Mapping[str, Any], scores: Mapping[str, float | None]) -> None:
        super().__init__({**scores, **record})
        self.scores = scores

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        return self.scores.items()


def mean_where_known(values: Sequence[float | None]) -> float:
    """The mean of what is there; NaN where nothing is."""
    mean = _mean([v for v in values if v is not None])
    return float("nan") if mean is None else mean


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
