"""The answers of one series laid out by budget: what every chain (a question in one epoch) answered
at every budget, what that cost, and whether the chains are one and the same, cut at each budget.

The rows of runs that differ in their budget alone are joined by question and epoch. They are one
chain only where their traces say so, id for id: the thinking at each budget is the beginning of
the longest. What an answer along a chain would have been is not known of separate runs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from s1_eval.errors import UserError
from s1_eval.metrics.costs import Unknown, axis
from s1_eval.metrics.points import distinct
from s1_eval.metrics.prices import Prices
from s1_eval.metrics.scoring import check_targets
from s1_eval.metrics.series import CAP, Series, dial, series, shown
from s1_eval.records import Located, OwnRow, Run, flatten
from s1_eval.records.method_info import IGNORES
from s1_eval.thinking import Trace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from s1_eval.metrics.intervals import Floats

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

PROBED = ("thinking_tokens", "generated_tokens")
"""Costs of which it is known what an answer alone takes: answers that are asked for on the way and
given up can be charged. Final answers are free of thinking tokens, those on the way are not."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Chains by budgets. Chains are ordered by question.

    varied: the dial. labels, values: of each budget, the smallest first.
    ids: of the questions. question: the index of each chain's, (chains,).
    correct, answers, ended, thinking: (chains, budgets). answers: equal texts have one number,
        none is -1. ended: the chain is over there, so that a larger budget changes nothing.
    cost: of stopping there. probe: tokens of asking there and going on.
    confidence: (chains, budgets), higher is surer; None where the rows have none.
    prompt: tokens of each question's prompt, None where that is not known.
    shared: whether every chain is one chain cut at each budget; None: no traces to tell by.
    notes: what has to be known of all this.
    """

    varied: str
    labels: tuple[str, ...]
    values: tuple[Any, ...]
    ids: tuple[str, ...]
    question: Ints
    correct: Bools
    answers: Ints
    ended: Bools
    thinking: Floats
    cost: Floats
    probe: Floats
    confidence: Floats | None
    prompt: Floats | None
    shared: bool | None
    notes: tuple[str, ...]

    def name(self, budget: int) -> str:
        """A budget as a sentence has it."""
        label = self.labels[budget]
        if self.varied != CAP:
            return f"{self.varied}={label}"
        return "no cap" if self.values[budget] is None else f"cap at {label}"

    @property
    def epochs(self) -> int:
        """Chains of the question that has fewest."""
        import numpy as np

        return int(np.bincount(self.question).min())

    def by_question(self, values: Floats) -> Floats:
        """Means over each question's chains. values: (…, chains)."""
        import numpy as np

        starts = np.flatnonzero(np.diff(self.question, prepend=-1))
        found: Floats = np.add.reduceat(values, starts, axis=-1, dtype=np.float64)
        return found / np.bincount(self.question)


def budget_series(runs: Sequence[Run]) -> list[Series]:
    """The series that vary an amount, each with the run that has no cap as its last, where there
    is one."""
    found = []
    for one in series(runs):
        if one.varied is None:
            continue
        uncapped = [] if one.varied != CAP else [run for run in runs if _without_cap(run, one)]
        members = (*one.runs, *uncapped[:1])
        found.append(Series(one.model, one.task, one.method, one.varied, one.held, members))
    return found


def _without_cap(run: Run, one: Series) -> bool:
    """Whether a run is the series' own but for its cap, which it lacks."""
    settings = {**flatten(run.record)}
    capped = {**flatten(one.runs[0].record)}
    name = f"method_params.{CAP}"
    free = settings.pop(name, None) is None and capped.pop(name, None) is not None
    return free and settings == capped


@dataclass(frozen=True, slots=True)
class Traced:
    """What the traces of a series say. shared: see `Grid`. prompts: tokens of each question's
    prompt, as far as there are traces: a row's own `prompt_tokens` are those of all its requests,
    from which one could read how long the chain is."""

    shared: bool | None = None
    prompts: Mapping[str, int] = field(default_factory=dict)


def chains(one: Series, at: str, traced: Traced, prices: Prices | None = None) -> Grid:
    """The grid of a series. at: of `costs.AXES`. traced: of `one_chain`.

    Only what every budget has is taken; how much was left out stands in `notes`. Raises UserError
    where nothing is common to all, where ids stand for different questions, or where the rows
    can't tell the cost.
    """
    import numpy as np

    check_targets(one, one.runs)
    runs = map(distinct, one.runs)
    tables = [{(row["sample_id"], row["epoch"]): row for row in run.rows} for run in runs]
    common = sorted(set.intersection(*(set(t) for t in tables)))
    if not common:
        raise UserError(
            f"the runs of {one.name} have no question in common: run the same questions"
        )
    notes = []
    every = set.union(*(set(t) for t in tables))
    if dropped := len(every) - len(common):
        notes.append(
            f"{dropped} of {len(every)} chains lack an answer at some budget and are left out"
        )
    varied = str(one.varied)
    values = tuple(dial(run, varied) for run in one.runs)
    ids = tuple(dict.fromkeys(id for id, _ in common))
    place = {id: i for i, id in enumerate(ids)}
    rows = [[t[cell] for t in tables] for cell in common]
    cost = _costs(one, at, rows, prices)
    limits = {"budget", "context"} if one.varied != CAP else {"natural", "eos", "context"}
    thinking = np.array([[row["thinking_tokens"] for row in line] for line in rows], dtype=float)
    ended = np.array([[row["exit_reason"] in limits for row in line] for line in rows], dtype=bool)
    grown = thinking[:, 1:] - thinking[:, :-1]
    shared = traced.shared
    if (grown < 0).any() or (grown[ended[:, :-1]] != 0).any():  # over, and yet it went on
        shared = shared and False
    return Grid(
        varied=varied,
        labels=tuple("none" if value is None else shown(value) for value in values),
        values=values,
        ids=ids,
        question=np.array([place[id] for id, _ in common], dtype=np.int64),
        correct=np.array([[row["correct"] for row in line] for line in rows], dtype=bool),
        answers=_coded(rows),
        ended=ended,
        thinking=thinking,
        cost=cost,
        probe=np.array([[_answering(row) for row in line] for line in rows], dtype=np.float64),
        confidence=_confidence(rows),
        prompt=_prompt(ids, traced.prompts),
        shared=shared,
        notes=tuple(notes),
    )


def one_chain(found: Sequence[Series], rows: Iterable[Located]) -> list[Traced]:
    """For each series whether its traces are the beginnings of the longest, chain by chain; None
    where some row has no trace, or several. rows: of all runs, whole; read once."""
    prompts: list[dict[str, int]] = [{} for _ in found]
    of_run: dict[str, list[int]] = {}
    for i, one in enumerate(found):
        for run in one.runs:
            of_run.setdefault(run.id, []).append(i)
    longest: dict[tuple[int, str, int], bytes] = {}
    same: list[bool | None] = [one.varied in (CAP, IGNORES) for one in found]
    read = [0] * len(found)
    for located in rows:
        row = located.row
        packed = _packed(row.get("traces"))
        for i in of_run.get(row["run_id"], ()):
            read[i] += 1
            if packed is None:
                same[i] = None
                continue
            thinking, prompt = packed
            prompts[i][row["sample_id"]] = max(prompt, prompts[i].get(row["sample_id"], 0))
            if same[i]:
                key = (i, row["sample_id"], row["epoch"])
                short, long = sorted((thinking, longest.get(key, b"")), key=len)
                same[i] = long.startswith(short)
                longest[key] = long
    whole = [sum(len(run.rows) for run in one.runs) for one in found]
    shared = [s if r == w else None for s, r, w in zip(same, read, whole, strict=True)]
    return [*map(Traced, shared, prompts)]


def _packed(traces: Sequence[Mapping[str, Any]] | None) -> tuple[bytes, int] | None:
    """The ids of a single trace's thinking, packed, and how many its prompt has."""
    if not traces or len(traces) != 1:
        return None
    try:
        trace = Trace.from_dict(dict(traces[0]))
        ids = trace.ids("thinking")
        return struct.pack(f"<{len(ids)}I", *ids), len(trace.prompt)
    except (TypeError, ValueError, struct.error):  # what a file calls a trace may be anything
        return None


def _costs(one: Series, at: str, rows: Sequence[Sequence[OwnRow]], prices: Prices | None) -> Floats:
    """(chains, budgets)"""
    import numpy as np

    of = axis(at).of
    pairs = [[*zip(one.runs, line, strict=True)] for line in rows]
    try:
        cost = np.array(
            [[of(run, row, prices) for run, row in line] for line in pairs], dtype=float
        )
    except Unknown as error:
        raise UserError(f"{one.name}: {at} can't be told: {error}") from None
    if not (np.isfinite(cost).all() and (cost >= 0).all()):
        raise UserError(f"{one.name}: some {at} are no amounts: give numbers, 0 or more")
    return cost


def _answering(row: OwnRow) -> float:
    """Tokens sampled for the answer, its stop included."""
    thought = row["thinking_tokens"] - row.get("forced_thinking_tokens", 0)
    return max(row["generated_tokens"] - thought, 0)


def _coded(rows: Sequence[Sequence[OwnRow]]) -> Ints:
    """Numbers for answers; equal ones in a row of `rows` have the same."""
    import numpy as np

    coded = np.full((len(rows), len(rows[0])), -1, dtype=np.int64)
    for line, out in zip(rows, coded, strict=True):
        known: dict[str, int] = {}
        for i, row in enumerate(line):
            if row["answered"]:
                out[i] = known.setdefault(row["answer"].strip(), len(known))
    return coded


def _confidence(rows: Sequence[Sequence[OwnRow]]) -> Floats | None:
    import numpy as np

    told = [[_mean_confidence(row) for row in line] for line in rows]
    if any(value is None for line in told for value in line):
        return None
    return np.array(told, dtype=np.float64)


def _mean_confidence(row: OwnRow) -> float | None:
    told = row.get("confidence")
    mean = told.get("mean") if isinstance(told, Mapping) else None
    return float(mean) if isinstance(mean, int | float) else None


def _prompt(ids: Sequence[str], prompts: Mapping[str, int]) -> Floats | None:
    import numpy as np

    if not all(id in prompts for id in ids):
        return None
    return np.array([prompts[id] for id in ids], dtype=np.float64)
