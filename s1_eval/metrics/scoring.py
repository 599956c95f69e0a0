"""From runs to the published numbers: one entry per series, as `s1-eval score --json` prints it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from s1_eval.errors import UserError
from s1_eval.metrics import bootstrap, caveats, intervals, points
from s1_eval.metrics.audit import Audit, audit
from s1_eval.metrics.bootstrap import Draws
from s1_eval.metrics.by import apart
from s1_eval.metrics.costs import costs
from s1_eval.metrics.entries import (
    Answers,
    Entry,
    Limits,
    Metric,
    Performance,
    Point,
    Scaling,
    Tokens,
)
from s1_eval.metrics.intervals import Interval
from s1_eval.metrics.points import Tally, Value, tally
from s1_eval.metrics.prices import Prices
from s1_eval.metrics.remarks import remarks
from s1_eval.metrics.series import Series, dial, series
from s1_eval.records import NOTHING_LEFT, LeaveOut, Run, refuse

if TYPE_CHECKING:
    from s1_eval.metrics.intervals import Floats


_LONG_TAILED = (
    "few questions make much of the mean of tokens, and its interval may be too short: "
    "read the median"
)


def score(
    runs: Sequence[Run],
    seed: int = 0,
    resamples: int = bootstrap.RESAMPLES,
    common_questions: bool = False,
    leave_out: LeaveOut = refuse,
    prices: Prices | None = None,
    by: str | None = None,
) -> list[Entry]:
    """Control, Scaling and Performance of every series among `runs`, with 95% intervals.

    by: a column of the questions' metadata, e.g. `level`; entries for each of its values follow
        those for all questions.
    common_questions: where runs of one series answered different questions, compare them on those
        that all of them answered. Without it they have no common numbers.
    leave_out: told of the runs of a series that have no common numbers, and why; what it does not
        raise is left out. Raises UserError where nothing is left.
    prices: what runs cost in dollars; without any that is not known.

    What an entry holds stands in `s1_eval.metrics.entries`, how intervals are found in
    `s1_eval.metrics.intervals`.
    """
    if not runs:
        raise UserError("no runs to score: give folders or files with records")
    if resamples < 1:
        raise UserError(f"resamples={resamples}: give 1 or more, e.g. 10000")
    found = []
    for one in series(runs):
        try:
            found.append(_same_questions(one, common_questions))
        except UserError as error:
            leave_out(error, _members(one))
    if not found:
        raise UserError(NOTHING_LEFT)
    chosen = [{run.id: tally(run) for run in _members(one)} for one in found]
    drawn = _draw_all(chosen, seed, resamples)
    asked = {run.id: len({row["sample_id"] for row in run.rows}) for run in runs}
    entries = [
        _entry(one, tallies, drawn[_questions(tallies)], seed, resamples, asked, prices)
        for one, tallies in zip(found, chosen, strict=True)
    ]
    if by is not None:
        usable = [run for one in found for run in _members(one)]
        for value, some in apart(usable, by):
            each = score(some, seed, resamples, common_questions, leave_out, prices)
            entries += [{**entry, "by": {by: value}} for entry in each]
    return entries


def whole(entries: Sequence[Entry]) -> list[Entry]:
    """Those that are about all questions."""
    return [entry for entry in entries if "by" not in entry]


def scored(entries: Sequence[Entry], runs: Sequence[Run]) -> list[Run]:
    """Those of the runs that the entries of `score` are about."""
    ids = {point["run_id"] for entry in entries for point in entry["points"]}
    return [run for run in runs if run.id in ids]


def difference(
    first: Series,
    second: Series,
    metric: str,
    seed: int = 0,
    resamples: int = bootstrap.RESAMPLES,
) -> Metric:
    """`first` minus `second` in `control`, `scaling` or `performance` as a `Metric`, paired
    over their common questions. Two single runs differ in `performance` by the difference of their
    accuracies. Raises UserError where they have no question in common."""
    members = {run.id: tally(run) for one in (first, second) for run in _members(one)}
    common = set.intersection(*(set(t.questions) for t in members.values()))
    if not common:
        raise UserError(f"{first.name} and {second.name} have no question in common")
    tallies = {run_id: restricted(t, common) for run_id, t in members.items()}
    draws = _Columns(list(tallies), bootstrap.draw(list(tallies.values()), seed, resamples))
    one, other = (_statistics(each, tallies, draws)[metric] for each in (first, second))
    notes = [each.value.note for each in (one, other) if each.value.value is None]
    if one.value.value is None or other.value.value is None:
        return _metric(Value(None, "; ".join(note for note in notes if note)), None, len(common))
    span: Interval | None
    if metric == "control":
        span = _apart(one.span(), other.span())
    elif metric == "performance" and len(first.runs) == len(second.runs) == 1:
        pair = [tallies[each.runs[0].id] for each in (first, second)]
        span = _percent(intervals.change(*pair))
    else:
        assert one.draws
        assert other.draws
        span = bootstrap.interval(one.draws() - other.draws(), len(common))
    return _metric(Value(one.value.value - other.value.value), span, len(common))


class _Columns:
    """Draws by run id."""

    def __init__(self, run_ids: Sequence[str], draws: Draws) -> None:
        self._at = {run_id: i for i, run_id in enumerate(run_ids)}
        self._draws = draws

    def of(self, runs: Sequence[Run]) -> Draws:
        return self._draws.of([self._at[run.id] for run in runs])


@dataclass(frozen=True, slots=True)
class _Statistic:
    """A metric of a series: its value, its interval when it is asked for, and its resampled values
    (Control has none: its interval is bounds)."""

    value: Value
    span: Callable[[], Interval | None]
    draws: Callable[[], Floats] | None = None


def _members(one: Series) -> list[Run]:
    return [*one.runs, one.reference] if one.reference else list(one.runs)


def _questions(tallies: Mapping[str, Tally]) -> tuple[str, ...]:
    return next(iter(tallies.values())).questions


def _same_questions(one: Series, restrict: bool) -> Series:
    """The series, its runs' rows all of the same questions."""
    members = _members(one)
    check_targets(one, members)
    sets = [{row["sample_id"] for row in run.rows} for run in members]
    common = set.intersection(*sets)
    if all(questions == common for questions in sets):
        return one
    if restrict and common:

        def kept(run: Run) -> Run:
            return replace(run, rows=[row for row in run.rows if row["sample_id"] in common])

        reference = kept(one.reference) if one.reference else None
        return replace(one, runs=tuple(map(kept, one.runs)), reference=reference)
    counts = ", ".join(
        f"{one.label(run)}: {len(questions)}" for run, questions in zip(members, sets, strict=True)
    )
    raise UserError(
        f"the runs of {one.name} answered different questions ({counts}; {len(common)} in common): "
        "score runs of the same questions, or add --common-questions to compare on those alone"
    )


def check_targets(one: Series, members: Sequence[Run]) -> None:
    """Raises UserError where a question's id stands for two questions."""
    targets: dict[str, tuple[str, Run]] = {}
    for run in members:
        for row in run.rows:
            target, first = targets.setdefault(row["sample_id"], (row["target"], run))
            if target != row["target"]:
                raise UserError(
                    f"{one.name}: sample {row['sample_id']!r:.200} has the target "
                    f"{target!r:.100} in {one.label(first)} ({_files(first)}) and "
                    f"{row['target']!r:.100} in {one.label(run)} ({_files(run)}): ids of different "
                    "data sets; score runs of the same questions, or name another column with "
                    "--columns sample_id=COLUMN"
                )


def _files(run: Run) -> str:
    return ", ".join(run.sources)[:300]


def restricted(t: Tally, questions: set[str]) -> Tally:
    """The tally of these questions alone."""
    kept = [i for i, question in enumerate(t.questions) if question in questions]
    return Tally(
        questions=tuple(t.questions[i] for i in kept),
        epochs=tuple(t.epochs[i] for i in kept),
        correct=tuple(t.correct[i] for i in kept),
        thinking=tuple(t.thinking[i] for i in kept),
        strata=tuple(t.strata[i] for i in kept) if t.strata else (),
    )


def _draw_all(
    chosen: Sequence[Mapping[str, Tally]], seed: int, resamples: int
) -> dict[tuple[str, ...], _Columns]:
    """All runs of the same questions are resampled together, so the work is done once."""
    groups: dict[tuple[str, ...], dict[str, Tally]] = {}
    for tallies in chosen:
        groups.setdefault(_questions(tallies), {}).update(tallies)
    return {
        questions: _Columns(list(group), bootstrap.draw(list(group.values()), seed, resamples))
        for questions, group in groups.items()
    }


def _statistics(
    one: Series, tallies: Mapping[str, Tally], draws: _Columns
) -> dict[str, _Statistic]:
    at = one.points(tallies)
    mine = draws.of(one.runs)
    questions = len(_questions(tallies))
    held = points.control(at)
    if held.value is None and (lacking := one.lacking):
        held = Value(None, f"needs the unprompted run ({lacking}) to hold the others against")

    def resampled(value: Value, draws: Callable[[], Floats]) -> _Statistic:
        return _Statistic(value, lambda: bootstrap.interval(draws(), questions), draws)

    best = resampled(points.performance(at), lambda: bootstrap.performance(mine))
    if run := _resampling_is_blind_to([tallies[run.id] for run in one.runs]):
        best = replace(best, span=lambda: _percent(intervals.accuracy(run)))
    return {
        "control": _Statistic(held, lambda: _control(one, tallies)[0]),
        "scaling": resampled(points.scaling(at), lambda: bootstrap.scaling(mine)),
        "performance": best,
    }


def _resampling_is_blind_to(mine: Sequence[Tally]) -> Tally | None:
    """The best run where it is the only one, or all right, or all wrong: its accuracy's interval is
    Performance's."""
    best = max(mine, key=lambda t: t.accuracy, default=None)
    return best if best and (len(mine) == 1 or best.accuracy in (0, 1)) else None


def _control(one: Series, tallies: Mapping[str, Tally]) -> tuple[Interval | None, list[str]]:
    reference = tallies[one.reference.id].tokens if one.reference else None
    tokens = [tallies[run.id].tokens for run in one.runs]
    return intervals.control(one.points(tallies), tokens, reference)


def _entry(
    one: Series,
    tallies: Mapping[str, Tally],
    draws: _Columns,
    seed: int,
    resamples: int,
    asked: Mapping[str, int],
    prices: Prices | None,
) -> Entry:
    questions = len(_questions(tallies))
    statistics = _statistics(one, tallies, draws)
    control, slope, best = (
        _metric(s.value, None if s.value.value is None else s.span(), questions)
        for s in (statistics[name] for name in ("control", "scaling", "performance"))
    )
    scaling: Scaling = {**slope, "unstable": statistics["scaling"].value.unstable}
    mine = [tallies[run.id] for run in one.runs]
    performance: Performance = {
        **best,
        "cross_fitted": bootstrap.cross_fitted(mine, seed) if mine else None,
    }
    metrics = (control, scaling, performance)
    if control["value"] is not None and (undecided := _control(one, tallies)[1]):
        note = f"too near their limit to tell on which side: {', '.join(undecided)}"
        _add_note(control, note)
    for note in caveats.missing(_members(one), one.label):
        for metric in metrics:
            _add_note(metric, note)
    for note in caveats.control(_members(one), one.label):
        _add_note(control, note)
    for note in (
        *caveats.performance(_members(one), one.label),
        *caveats.dates(_members(one)),
    ):
        _add_note(performance, note)
    if fewer := [
        f"{one.label(r)}: {asked[r.id]}" for r in _members(one) if asked[r.id] > questions
    ]:
        note = f"on the {questions} questions that all runs answered ({', '.join(fewer)})"
        for metric in metrics:
            _add_note(metric, note)
    audits = {run.id: audit(run) for run in _members(one)}
    of_series = [audits[run.id] for run in one.runs]
    said = remarks(one, of_series)
    answers = _answers(of_series)
    said["thinking_tokens"] += [
        f"{one.label(run)}: {_LONG_TAILED} ({median['value']:.6g}"
        + (f", 95% {median['low']:.6g} to {median['high']:.6g})" if median["interval"] else ")")
        for run in one.runs
        if (tokens := _tokens(tallies[run.id]))["note"] == _LONG_TAILED
        and (median := tokens["median"])
    ]
    return {
        "model": one.model,
        "task": one.task,
        "method": one.method,
        "varied": one.varied,
        "held": dict(one.held),
        "runs": len(one.runs),
        "questions": questions,
        "control": control,
        "scaling": scaling,
        "performance": performance,
        "mean_thinking_tokens": _mean([float(t.mean_thinking) for t in mine]),
        "generated_tokens": _mean([a.generated / a.samples for a in of_series]),
        "verifier_tokens": _mean([a.verified / a.samples for a in of_series]),
        "accuracy_answered": answers["accuracy_answered"],
        "unanswered": answers["unanswered"],
        "remarks": said,
        "points": [
            _point(one, run, tallies[run.id], audits[run.id], prices) for run in _members(one)
        ],
        "bootstrap": {"seed": seed, "resamples": resamples, "level": intervals.LEVEL},
    }


def _point(one: Series, run: Run, t: Tally, a: Audit, prices: Prices | None) -> Point:
    accuracy = _percent(intervals.accuracy(t))
    return {
        "run_id": run.id,
        "label": one.label(run),
        "value": dial(run, one.varied) if one.varied else None,
        "reference": run is one.reference,
        "budget": run.budget,
        "accuracy": {
            "value": float(100 * t.accuracy),
            **_limits(accuracy),
            "note": None if accuracy else intervals.reason(t.accuracies),
        },
        **_answers([a]),
        "thinking_tokens": _tokens(t),
        "generated_tokens": a.generated / a.samples,
        "verifier_tokens": a.verified / a.samples,
        "costs": costs(run, t, prices),
        "standing": None,
        "audit": asdict(a),
    }


def _tokens(t: Tally) -> Tokens:
    """Mean thinking tokens with their interval, and the median beside it."""
    import numpy as np

    span = intervals.mean(t.tokens, lowest=0)
    note = None if span else intervals.reason(t.tokens)
    if span and intervals.long_tailed(t.tokens):
        note = _LONG_TAILED
    return {
        "value": float(t.mean_thinking),
        **_limits(span),
        "note": note,
        "median": {"value": float(np.median(t.tokens)), **_limits(intervals.median(t.tokens))},
    }


def _answers(audits: Sequence[Audit]) -> Answers:
    samples = sum(a.samples for a in audits)
    answered = sum(a.answered for a in audits)
    correct = sum(a.answered_correct for a in audits)
    return {
        "accuracy_answered": 100 * correct / answered if answered else None,
        "unanswered": 100 * (samples - answered) / samples if samples else None,
    }


def _metric(value: Value, span: Interval | None, questions: int) -> Metric:
    metric: Metric = {
        "value": value.value,
        **_limits(span),
        "note": value.note,
    }
    if value.value is not None and span is None:
        few = "one question does not say how much questions differ"
        none = "too few answers differ: most resamples have no value, or all the same"
        _add_note(metric, f"no interval: {few if questions < 2 else none}")
    elif span and span.undefined:
        _add_note(metric, f"undefined in {span.undefined:.2%} of the resamples, left out")
    return metric


def _add_note(metric: Metric, note: str) -> None:
    metric["note"] = f"{metric['note']}; {note}" if metric["note"] else note


def _limits(span: Interval | None) -> Limits:
    """What an entry says of an interval: its limits, and how it was made."""
    if span is None:
        return {"low": None, "high": None, "interval": None}
    return {"low": span.low, "high": span.high, "interval": span.method}


def _percent(span: Interval | None) -> Interval | None:
    return span.percent() if span else None


def _apart(one: Interval | None, other: Interval | None) -> Interval | None:
    """Bounds of a difference, from bounds of both sides."""
    if one is None or other is None:
        return None
    return replace(one, low=one.low - other.high, high=one.high - other.low)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
