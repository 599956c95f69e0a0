"""A sweep before it is run: what it would cost, and whether it could show the difference that is
looked for. From the records of a pilot, or from what is assumed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypedDict

from s1_eval.errors import UserError
from s1_eval.metrics import costs, intervals
from s1_eval.metrics.costs import Unknown
from s1_eval.metrics.paired import (
    MOST_QUESTIONS,
    POWER,
    detectable_by_mcnemar,
    detectable_by_t,
    questions_needed,
)
from s1_eval.metrics.points import Tally, distinct, tally
from s1_eval.metrics.prices import NoPrice, Prices
from s1_eval.metrics.scoring import restricted
from s1_eval.names import choose_from
from s1_eval.records import OwnRow, Run
from s1_eval.records.method_info import CAP, IGNORES, method_info

if TYPE_CHECKING:
    from s1_eval.metrics.intervals import Floats

SAMPLES = "samples"
CORRELATION = 1 / 3
"""Of two tries at one question, where nothing says it: so much of the spread of results is the
questions' own."""

MOST_EPOCHS = 1 << 10
COUNTED = ("thinking_tokens", "generated_tokens", "flops", "usd")
"""Costs that a plan adds up; time follows from the rate."""

_SCALED = (
    *("thinking_tokens", "forced_thinking_tokens", "answer_tokens", "generated_tokens"),
    *("verifier_tokens", "prompt_tokens", "cached_tokens", "flops", "machine_seconds"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A run that is planned. settings: all of the method's, as records have them. dials: those that
    vary. greedy: every epoch would be the same again. single: it is one chain. independent: or
    several that have no part in each other and that no verifier reads."""

    label: str
    method: str
    settings: Mapping[str, Any]
    dials: Mapping[str, Any]
    greedy: bool
    single: bool = True
    independent: bool = True


@dataclass(frozen=True, slots=True)
class Assumed:
    """What stands for a pilot. accuracy: percent. thinking_tokens: mean of a chain that nothing
    limits. answer_tokens, prompt_tokens: means. tokens_per_second: sampled, of all that is in
    flight together. correlation: of two tries at one question.
    """

    accuracy: float | None = None
    thinking_tokens: float | None = None
    answer_tokens: float = 0.0
    prompt_tokens: float | None = None
    tokens_per_second: float | None = None
    correlation: float = CORRELATION

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Assumed:
        """Raises UserError on what is no assumption, or can't be."""
        known = [each.name for each in fields(cls)]
        for name, value in given.items():
            if name not in known:
                raise UserError(f"--assume {name}: {choose_from(name, known)}")
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise UserError(f"--assume {name}={value}: give a number")
            low, high = {"accuracy": (0, 100), "correlation": (0, 1)}.get(name, (0, math.inf))
            if not low <= value <= high or math.isinf(value):
                raise UserError(f"--assume {name}={value}: give a number from {low} to {high}")
            if name == "tokens_per_second" and not value:
                raise UserError("--assume tokens_per_second=0 never ends: give a number above 0")
        if not given:
            raise UserError(
                "--assume needs something, e.g. --assume accuracy=50 thinking_tokens=4000 "
                "tokens_per_second=500"
            )
        return cls(**given)


class Spent(TypedDict):
    """Means per question or totals; None where not known."""

    thinking_tokens: float | None
    generated_tokens: float | None
    flops: float | None
    usd: float | None
    hours: float | None


class Planned(TypedDict):
    """label: of the run. source: what its costs rest on. per_question: of one epoch. total: of all
    questions and epochs. note: why something is not known."""

    label: str
    source: str
    per_question: Spent
    total: Spent
    note: str | None


class Shows(TypedDict):
    """points: the difference looked for. detectable: the smallest that the plan would show, in
    points. can: whether it shows the one looked for. questions: how many would, at the plan's
    epochs; questions_low, questions_high: at the limits of what the pilot says of the noise; None:
    over 16,384. epochs: how many would, of the plan's questions; None: none would. churn: percent
    of questions that two runs without a difference answer differently, in each direction. margin:
    half the width of an accuracy's interval, in points."""

    points: float
    alpha: float
    power: float
    comparisons: int
    detectable: float | None
    can: bool
    questions: int | None
    questions_low: int | None
    questions_high: int | None
    epochs: int | None
    churn: float
    margin: float | None


class Plan(TypedDict):
    """tokens_per_second: at which the hours are counted."""

    questions: int
    epochs: int
    tokens_per_second: float | None
    runs: list[Planned]
    total: Spent
    shows: Shows | None
    remarks: list[str]


@dataclass(frozen=True, slots=True)
class Noise:
    """churn: share of questions that change in each direction where nothing has changed. within:
    the part of twice the churn that more epochs average out; None: not known, or no epochs do.
    of: questions that say so; None: it is assumed."""

    churn: float
    within: float | None
    of: int | None = None


def plan(
    asked: Sequence[Asked],
    questions: int,
    epochs: int,
    basis: Sequence[Run] | Assumed,
    *,
    points: float = 5.0,
    alpha: float = 0.05,
    prices: Prices | None = None,
    model: str = "",
    rate: float | None = None,
) -> Plan:
    """basis: a pilot's runs of the same model, or what is assumed. points: the difference worth
    finding, between one run and the next. alpha: of all comparisons together. model: for prices,
    where there is no pilot. rate: tokens per second, in place of the pilot's own.

    Raises UserError on numbers that are out of range, and where a pilot is of another model.
    """
    for name, value, good in (
        ("points", points, 0 < points <= 100),
        ("alpha", alpha, 0 < alpha < 1),
        ("questions", questions, questions > 0),
        ("epochs", epochs, epochs > 0),
    ):
        if not good:
            raise UserError(f"{name}={value}: give a number above 0, e.g. 5 points, alpha 0.05")
    remarks: list[str] = []
    if isinstance(basis, Assumed):
        rate = basis.tokens_per_second
        planned = [_assumed(one, basis, prices, model) for one in asked]
        noise = _assumed_noise(basis)
        accuracy = None if basis.accuracy is None else basis.accuracy / 100
        if accuracy and accuracy <= 0.01:
            remarks.append(f"accuracy={basis.accuracy:g} is taken for that many percent, no share")
    else:
        rate = rate or _rate(basis)
        basis = [distinct(run) for run in basis]
        partners = [_partner(one, basis) for one in asked]
        planned = [_from_pilot(*pair, prices) for pair in zip(asked, partners, strict=True)]
        noise = _piloted_noise([p for p in partners if p], basis, remarks)
        best = max(map(tally, basis), key=lambda t: t.accuracy)
        accuracy = _smoothed(float(best.accuracy), len(best.questions))
        if any(
            p and _greedy(p) not in (None, one.greedy)
            for p, one in zip(partners, asked, strict=True)
        ):
            remarks.append(
                "the pilot samples at another temperature than the plan, greedily or not: its "
                "lengths and noise may be others"
            )
    if rate is None:
        remarks.append(
            "hours are not known: give --assume tokens_per_second=N, or a pilot that tells its time"
        )
    for each in planned:
        _add_up(each, questions * epochs, rate)
    greedy = all(one.greedy for one in asked)
    if greedy and noise is not None:
        noise = replace(noise, within=None)
    if epochs > 1 and any(one.greedy for one in asked):
        remarks.append(
            "greedy runs answer every epoch alike, so further epochs say nothing: give "
            "--temperature, or leave --epochs out"
        )
    if epochs > 1 and not greedy and noise is not None and noise.within is None:
        remarks.append(
            "what epochs gain is not known: a pilot that asks each question twice (--epochs 2, at "
            "a temperature) tells"
        )
    comparisons = max(1, len(asked) - 1)
    shows = None
    if noise is None or accuracy is None:
        remarks.append("what can be shown is not known: give --assume accuracy=PERCENT")
    else:
        tries = 1 if greedy else epochs
        tied = basis.correlation if isinstance(basis, Assumed) else CORRELATION
        shows = _shows(noise, accuracy, tied, questions, tries, points, alpha, comparisons)
    return {
        "questions": questions,
        "epochs": epochs,
        "tokens_per_second": rate,
        "runs": planned,
        "total": _total([each["total"] for each in planned]),
        "shows": shows,
        "remarks": remarks,
    }


def _add_up(each: Planned, asks: int, rate: float | None) -> None:
    own = each["per_question"]
    if rate and own["generated_tokens"] is not None:
        own["hours"] = own["generated_tokens"] / rate / 3600
    each["total"] = _spent({n: None if v is None else v * asks for n, v in own.items()})  # type: ignore[operator]


def _total(each: Sequence[Spent]) -> Spent:
    """Not known where one is not."""
    found: dict[str, float | None] = {}
    for name in Spent.__annotations__:
        values = [one[name] for one in each]  # type: ignore[literal-required]
        found[name] = None if None in values else sum(values)
    return _spent(found)


def _spent(found: Mapping[str, Any]) -> Spent:
    names = Spent.__annotations__
    return {name: found.get(name) for name in names}  # type: ignore[return-value]


def _assumed(one: Asked, basis: Assumed, prices: Prices | None, model: str) -> Planned:
    made: Planned = {
        "label": one.label,
        "source": "assumed",
        "per_question": _spent({}),
        "total": _spent({}),
        "note": None,
    }
    if strange := [n for n, v in one.dials.items() if v and n not in (CAP, IGNORES, SAMPLES)]:
        made["note"] = f"what {strange[0]} does to the length is not known: take a pilot"
        return made
    if not (one.single or one.independent):
        made["note"] = f"how much {one.method} samples and reads is not known: take a pilot"
        return made
    if basis.thinking_tokens is None:
        made["note"] = "lengths are not known: give --assume thinking_tokens=N"
        return made
    thinking = basis.thinking_tokens * (1 + (one.dials.get(IGNORES) or 0))
    cap = one.dials.get(CAP)
    thinking = min(thinking, cap) if isinstance(cap, int) else thinking
    chains = one.dials.get(SAMPLES) or 1
    sampled = thinking + basis.answer_tokens
    made["per_question"] = _spent(
        {"thinking_tokens": chains * thinking, "generated_tokens": chains * sampled}
    )
    if prices is not None:
        sent = basis.prompt_tokens
        whole = None if sent is None else round(chains * (2 * sent + thinking))
        read = None if sent is None else round(chains * (sent + thinking))
        try:
            price = prices.model(model)
            if price.gpu_hour is None:
                usd = price.tokens(whole, read, round(chains * sampled))
            elif basis.tokens_per_second:
                usd = price.seconds(chains * sampled / basis.tokens_per_second)
            else:
                raise NoPrice("dollars are not known: give --assume tokens_per_second=N")
            made["per_question"]["usd"] = usd
        except NoPrice as error:
            made["note"] = str(error)
    return made


def _partner(one: Asked, pilot: Sequence[Run]) -> Run | None:
    """The pilot's run that is most like the planned one: the same, or it thinks longer, or draws
    another number of independent samples."""

    for free in (None, CAP, SAMPLES):
        found = [
            run
            for run in pilot
            if run.method == one.method
            and _covers(run, one)
            and all(run.params.get(n) == v or n == free for n, v in one.settings.items())
            and (free is None or (free == CAP and one.single) or _independent(run, free))
        ]
        if found:
            return min(found, key=lambda run: _distance(run, one))
    return None


def _independent(run: Run, free: str) -> bool:
    """Whether the run's chains have no part in each other: what another number of them costs is in
    proportion, and each can be cut. A verifier reads what a cut leaves, which rows do not tell."""
    read = free == CAP and any(row["verifier_tokens"] for row in run.rows)
    return method_info(run).chooses and not read


def _greedy(run: Run) -> bool | None:
    temperature = (run.record.get("sampling") or {}).get("temperature")
    return None if temperature is None else temperature == 0


def _covers(run: Run, one: Asked) -> bool:
    """Whether the run's chains are at least as long as those planned."""
    cap, planned = run.params.get(CAP), one.settings.get(CAP)
    if cap == planned or not isinstance(cap, int):
        return True
    return isinstance(planned, int) and planned <= cap


def _distance(run: Run, one: Asked) -> float:
    cap, planned = run.params.get(CAP), one.settings.get(CAP)
    if cap != planned:
        known = isinstance(cap, int) and isinstance(planned, int)
        return float(cap) - float(planned) if known else math.inf  # type: ignore[arg-type]
    samples = run.params.get(SAMPLES) or 1, one.settings.get(SAMPLES) or 1
    return abs(math.log(samples[0] / samples[1]))


def _from_pilot(one: Asked, run: Run | None, prices: Prices | None) -> Planned:
    made: Planned = {
        "label": one.label,
        "source": "pilot",
        "per_question": _spent({}),
        "total": _spent({}),
        "note": None,
    }
    if run is None:
        made["source"] = "unknown"
        made["note"] = (
            "no run of the pilot tells of it: one of the same method and settings does, with the "
            f"same cap{' or a larger one' if one.single else ''}"
        )
        return made
    rows = run.rows
    cap, samples = one.settings.get(CAP), one.settings.get(SAMPLES) or 1
    drawn = run.params.get(SAMPLES) or 1
    if isinstance(cap, int) and cap != run.params.get(CAP):
        rows = [_cut(row, cap) for row in rows]
        made["source"] = f"pilot, cut at {cap}"
    if samples != drawn:
        rows = [_times(row, samples / drawn) for row in rows]
        made["source"] = f"pilot, {samples} samples for {drawn}"
    alone = [_alone(row) for row in rows]
    notes = []
    for name in COUNTED:
        if name == "usd" and prices is None:
            continue
        try:
            values = [costs.axis(name).of(run, row, prices) for row in alone]
            made["per_question"][name] = _per_question(alone, values)  # type: ignore[literal-required]
        except Unknown as error:
            notes.append(f"{costs.axis(name).label}: {error}")
    made["note"] = "; ".join(notes) or None
    return made


def _cut(row: OwnRow, cap: int) -> OwnRow:
    """The row as it would be under a smaller cap: less thinking in each of its chains, answers as
    long."""
    lengths = row.get("sample_thinking_tokens") or [row["thinking_tokens"]]
    less = sum(max(length - cap, 0) for length in lengths)
    share = max(row["generated_tokens"] - less, 0) / max(row["generated_tokens"], 1)
    changed: dict[str, Any] = dict(row)
    for name in ("thinking_tokens", "generated_tokens", "prompt_tokens", "cached_tokens"):
        if changed.get(name) is not None:
            changed[name] = max(changed[name] - less, 0)
    for name in ("flops", "machine_seconds"):
        if changed.get(name) is not None:
            changed[name] *= share
    return changed  # type: ignore[return-value]


def _times(row: OwnRow, factor: float) -> OwnRow:
    changed: dict[str, Any] = dict(row)
    for name in _SCALED:
        if changed.get(name) is not None:
            changed[name] *= factor
    return changed  # type: ignore[return-value]


def _alone(row: OwnRow) -> OwnRow:
    """Its machine's time as if nothing had come from the sweep's cache."""
    changed: dict[str, Any] = dict(row)
    reused = changed.pop("reused_tokens", 0)
    if reused:
        left = row["generated_tokens"] - reused
        taken = changed.get("machine_seconds")
        changed["machine_seconds"] = None
        if taken is not None and left > 0:
            changed["machine_seconds"] = taken * row["generated_tokens"] / left
    return changed  # type: ignore[return-value]


def _per_question(rows: Sequence[OwnRow], values: Sequence[float]) -> float:
    """The mean over questions of the mean over epochs."""
    found: dict[str, list[float]] = {}
    for row, value in zip(rows, values, strict=True):
        found.setdefault(row["sample_id"], []).append(value)
    means = [sum(each) / len(each) for each in found.values()]
    return sum(means) / len(means)


def _rate(pilot: Sequence[Run]) -> float | None:
    """Tokens per second of the machine that the pilot sampled, all runs together."""
    sampled, taken = 0.0, 0.0
    for run in pilot:
        for row in run.rows:
            share = row.get("machine_seconds")
            if share is None:
                return None
            sampled += row["generated_tokens"] - row.get("reused_tokens", 0)
            taken += share
    return sampled / taken if taken and sampled > 0 else None


def _assumed_noise(basis: Assumed) -> Noise | None:
    if basis.accuracy is None:
        return None
    share = basis.accuracy / 100
    churn = share * (1 - share) * (1 - basis.correlation)
    return Noise(churn, 2 * churn)


def _piloted_noise(
    partners: Sequence[Run], pilot: Sequence[Run], remarks: list[str]
) -> Noise | None:
    """Of the pair of runs that is hardest to tell apart, of those that stand for the planned ones;
    of two tries of one run where there is no pair."""
    distinct = list({run.id: run for run in (partners if len(partners) > 1 else pilot)}.values())
    found = [noise for pair in pairwise(distinct) if (noise := _pair(*pair))]
    if found:
        return max(found, key=lambda noise: noise.churn)
    best = max((tally(run) for run in pilot), key=lambda t: t.accuracy)
    share = float(best.accuracy)
    if min(best.epochs) > 1:
        within = _within(best)
        return Noise(_smoothed(within, len(best.questions)), 2 * within, len(best.questions))
    remarks.append(
        f"the pilot has no two runs to compare: tries at one question are taken to correlate by "
        f"{CORRELATION:.2f}"
    )
    churn = share * (1 - share) * (1 - CORRELATION)
    return Noise(churn, 2 * churn)


def _pair(one: Run, other: Run) -> Noise | None:
    first, second = tally(one), tally(other)
    common = set(first.questions) & set(second.questions)
    if len(common) < 2:
        return None
    a, b = restricted(first, common), restricted(second, common)
    x, y = a.accuracies, b.accuracies
    churn = min(float((x * (1 - y)).mean()), float((y * (1 - x)).mean()))
    within = _within(a) + _within(b) if min(*a.epochs, *b.epochs) > 1 else None
    return Noise(_smoothed(churn, len(common)), within, len(common))


def _within(t: Tally) -> float:
    """The mean variance of one try at a question; of questions that were tried more than once."""
    import numpy as np

    epochs = np.array(t.epochs, dtype=np.float64)
    p: Floats = t.accuracies
    return float((p * (1 - p) * epochs / (epochs - 1)).mean())


def _smoothed(share: float, questions: int) -> float:
    """A share that so many questions estimate: never none (Laplace)."""
    return (share * questions + 1) / (questions + 2)


def _shows(
    noise: Noise,
    accuracy: float,
    correlation: float,
    questions: int,
    epochs: int,
    points: float,
    alpha: float,
    comparisons: int,
) -> Shows:
    level = alpha / comparisons / 2

    def found(churn: float, n: int, tries: int) -> float | None:
        scaled = noise.within
        if scaled is not None and noise.churn:
            scaled = min(scaled * churn / noise.churn, 2 * churn)
        return detectable(n, tries, Noise(churn, scaled), level)

    needed = questions_needed(lambda n: found(noise.churn, n, epochs), points)
    low, high = needed, needed
    if noise.of is not None:
        span = intervals.wilson(noise.churn, noise.of)
        low, high = (
            questions_needed(lambda n, c=limit: found(min(c, 0.5), n, epochs), points)  # type: ignore[misc]
            for limit in (span.low, span.high)
        )
    smallest = found(noise.churn, questions, epochs)
    effective = questions * epochs / (1 + (epochs - 1) * correlation)
    margin = intervals.wilson(accuracy, effective)
    return {
        "points": points,
        "alpha": alpha,
        "power": POWER,
        "comparisons": comparisons,
        "detectable": smallest,
        "can": smallest is not None and smallest <= points,
        "questions": needed,
        "questions_low": low,
        "questions_high": high,
        "epochs": _epochs_needed(noise, questions, points, level),
        "churn": 100 * noise.churn,
        "margin": 50 * (margin.high - margin.low),
    }


def _epochs_needed(noise: Noise, questions: int, points: float, level: float) -> int | None:
    """How often each of the questions has to be asked; None where no number does, or nobody knows
    what epochs gain."""

    def enough(epochs: int) -> bool:
        found = detectable(questions, epochs, noise, level)
        return found is not None and found <= points

    if noise.within is None or enough(1):
        return 1 if enough(1) else None
    if not enough(MOST_EPOCHS):
        return None
    low, high = 1, MOST_EPOCHS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def detectable(questions: int, epochs: int, noise: Noise, level: float) -> float | None:
    """The smallest difference, in points, that so many questions show at the one-sided level with a
    chance of `POWER`; None where none would.

    A difference of d is taken for the hardest of its kind: a share d of the questions changes for
    good. Single answers are tested by McNemar's exact test, means of epochs by t, as are more
    answers than the exact test is made for.
    """
    within = None if epochs == 1 else noise.within
    if within is None and questions <= MOST_QUESTIONS:
        return detectable_by_mcnemar(questions, noise.churn, level, 0.0)
    spread = 2 * noise.churn
    if within is not None:
        spread = max(spread - within, 0.0) + within / epochs

    def enough(share: float) -> bool:
        error = 100 * math.sqrt((1 - share) * (spread + share) / questions)
        found = detectable_by_t(error, questions, level, 0.0)
        return found is not None and found <= 100 * share

    low, high = 0.0, 1.0
    if not enough(high):
        return None
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return 100 * high
