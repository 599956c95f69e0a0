"""Rules that say when thinking is to end, replayed along recorded chains, and the choice among them
on other questions than those that they are scored on.

A rule sees what is known at a checkpoint: the answers given up to there, whether the chain is over,
the confidence, how long the prompt is; never the target, and nothing that comes later. An answer
that it asks for and does not take is charged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s1_eval.metrics.budgets import Grid
from s1_eval.metrics.series import CAP

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from s1_eval.metrics.intervals import Floats

    Ints = NDArray[np.int64]
    Choose = Callable[[Floats, Floats], Ints]
    """From the rules' mean accuracy and cost, (rules,) each, to the rules that are taken, one per
    price or aim."""

FOLDS = 10
SPLITS = 10
"""Times that the questions are dealt into folds anew; results are means over them."""

_AGREEING = (2, 3, 4)
_EVERY = (1, 2, 4, 8)
_FIRST = (0, 1, 2, 4, 8, 16)
_MOST_CAPS = 32
"""Of the budgets that a rule may end at, where there are more, evenly many are tried."""
_CELLS = 20_000_000
"""Rules times questions that are held at once; of many questions fewer caps are tried."""
_LENGTHS = 8


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules of one kind. names: as a user reads them. accuracy, cost: (rules, questions), means
    over a question's chains."""

    kind: str
    names: tuple[str, ...]
    accuracy: Floats
    cost: Floats

    def __len__(self) -> int:
        return len(self.names)


def joined(kind: str, parts: Sequence[Rules]) -> Rules:
    """All of them as one kind."""
    import numpy as np

    return Rules(
        kind,
        tuple(name for part in parts for name in part.names),
        np.concatenate([part.accuracy for part in parts]),
        np.concatenate([part.cost for part in parts]),
    )


def caps(grid: Grid) -> Rules:
    """One budget for all questions."""
    return Rules(
        "cap",
        tuple(map(grid.name, range(len(grid.labels)))),
        grid.by_question(grid.correct.T.astype(float)),
        grid.by_question(grid.cost.T),
    )


def agreeing(grid: Grid) -> Rules | None:
    """Stop when the last k answers agree; None where the budgets are too few."""
    return _asking("agree", grid, list(_agreements(grid)))


def confident(grid: Grid) -> Rules | None:
    """Stop at a confidence; None where rows have none. Thresholds are deciles of all confidences,
    whatever the verdicts."""
    import numpy as np

    if grid.confidence is None or len(grid.labels) < 2:
        return None
    tried = []
    for least in np.unique(np.quantile(grid.confidence, np.arange(0.1, 1, 0.1))):
        for grid_of in _checkpoints(len(grid.labels), 1):
            hit = grid.confidence[:, grid_of] >= least
            tried.append((f"stop at a confidence of {least:.3g}", grid_of, hit))
    return _asking("confidence", grid, tried)


def by_length(grid: Grid) -> Rules | None:
    """One budget for short prompts and another for long ones, or one that grows with the prompt;
    None where lengths are not known or do not differ."""
    import numpy as np

    if grid.prompt is None or grid.prompt.min() == grid.prompt.max():
        return None
    uniform, tried = caps(grid), _some(len(grid.labels), _LENGTHS)
    names: list[str] = []
    right, cost = [], []
    low, high = np.log2(grid.prompt.min()), np.log2(grid.prompt.max())
    for limit in np.unique(np.floor(2 ** np.linspace(low, high, 9)[1:-1])):
        short = grid.prompt <= limit
        for a in tried:
            for b in tried:
                if a != b:
                    x, y = grid.name(a), grid.name(b)
                    names.append(f"{x} for prompts of up to {limit:g} tokens, else {y}")
                    right.append(np.where(short, uniform.accuracy[a], uniform.accuracy[b]))
                    cost.append(np.where(short, uniform.cost[a], uniform.cost[b]))
    if grid.varied == CAP:
        amounts = np.array([np.inf if value is None else value for value in grid.values])
        question = np.arange(len(grid.ids))
        for times in 2.0 ** np.arange(-3, 7.5, 0.5):
            place = np.searchsorted(amounts, times * grid.prompt).clip(max=len(amounts) - 1)
            names.append(f"cap at the next budget above {times:.3g} times the prompt's tokens")
            right.append(uniform.accuracy[place, question])
            cost.append(uniform.cost[place, question])
    if not names:
        return None
    return Rules("prompt length", tuple(names), np.array(right), np.array(cost))


def stops(hit: NDArray[np.bool_], ended: NDArray[np.bool_]) -> Ints:
    """Where each chain stops: the first checkpoint at which the rule is met or the chain is over,
    their number if there is none. hit, ended: (chains, checkpoints)."""
    import numpy as np

    over = np.concatenate([hit | ended, np.ones((len(hit), 1), dtype=bool)], axis=1)
    found: Ints = over.argmax(axis=1)
    return found


def agreement(answers: Ints) -> Ints:
    """How many answers in a row, up to each checkpoint, have been the same; 0 where there is none.
    answers: (chains, checkpoints)."""
    import numpy as np

    run = np.zeros_like(answers)
    for j in range(answers.shape[1]):
        run[:, j] = answers[:, j] >= 0
        if j:
            same = (answers[:, j] == answers[:, j - 1]) & (answers[:, j] >= 0)
            run[:, j] += same * run[:, j - 1]
    return run


def _agreements(grid: Grid) -> Iterator[tuple[str, list[int], NDArray[np.bool_]]]:
    for k in _AGREEING:
        for grid_of in _checkpoints(len(grid.labels), k):
            hit = agreement(grid.answers[:, grid_of]) >= k
            yield f"stop when {k} answers in a row agree", grid_of, hit


def _checkpoints(budgets: int, least: int) -> Iterator[list[int]]:
    """Evenly spaced budgets to ask at, more than `least` of them with the last one behind."""
    for every in _EVERY:
        for first in _FIRST:
            found = list(range(first, budgets, every))
            if len(found) >= least and first < budgets - 1:
                yield found


def _asking(
    kind: str, grid: Grid, tried: Sequence[tuple[str, list[int], NDArray[np.bool_]]]
) -> Rules | None:
    """Rules that ask at checkpoints up to a cap, where they stop at the latest.

    tried: (name, checkpoints, whether it is met there) each.
    """
    import numpy as np

    names: dict[str, None] = {}
    right, cost = [], []
    chain = np.arange(len(grid.question))
    most = max(4, min(_MOST_CAPS, _CELLS // max(1, len(tried) * len(grid.ids))))
    for name, asked, hit in tried:
        at = stops(hit, grid.ended[:, asked])
        charged = np.cumsum(grid.probe[:, asked], axis=1) - grid.probe[:, asked]
        charged = np.concatenate([charged, grid.probe[:, asked].sum(1, keepdims=True)], axis=1)
        for cap in _some(len(grid.labels), most):
            below = sum(place < cap for place in asked)
            said = f"{name}, asked at {_dial(grid)}{_places(grid, asked[:below], cap)}"
            if not below or said in names:
                continue
            names[said] = None
            place = np.minimum(at, below)
            stop = np.array([*asked[:below], cap])[place]
            right.append(grid.by_question(grid.correct[chain, stop].astype(float)))
            cost.append(grid.by_question(grid.cost[chain, stop] + charged[chain, place]))
    if not names:
        return None
    return Rules(kind, tuple(names), np.array(right), np.array(cost))


def _dial(grid: Grid) -> str:
    return "" if grid.varied == CAP else f"{grid.varied} "


def _places(grid: Grid, asked: Sequence[int], cap: int) -> str:
    at = [grid.labels[i] for i in asked]
    last = f"at {grid.labels[cap]}" if grid.values[cap] is not None else "at its own end"
    listed = ", ".join(at if len(at) <= 3 else [*at[:3], f"… up to {at[-1]}"])
    return f"{listed}, at the latest {last}"


def _some(budgets: int, most: int) -> list[int]:
    """Indices of that many budgets at most, the first and the last among them."""
    step = max(1, -(-(budgets - 1) // (most - 1)))
    return sorted({*range(budgets - 1, -1, -step), 0})


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a choice comes to on questions that it did not see. accuracy, cost: (choices,
    questions), means over splits. taken: (choices, rules), how often each rule was, 0 to 1."""

    accuracy: Floats
    cost: Floats
    taken: Floats

    @property
    def chosen(self) -> list[int]:
        """Per choice the rule most often taken."""
        most: list[int] = self.taken.argmax(axis=1).tolist()
        return most


def folds(questions: int, seed: int) -> Iterator[list[Ints]]:
    """Splits of the questions into `FOLDS`, or as many as there are questions."""
    import numpy as np

    random = np.random.default_rng(seed)
    for _ in range(SPLITS):
        yield np.array_split(random.permutation(questions), min(FOLDS, questions))


def cross_fit(rules: Rules, choose: Choose, seed: int) -> Fitted:
    """Choose on nine tenths of the questions, score on the rest, in turns. The questions of a fold
    have no part in what is chosen for them."""
    import numpy as np

    questions = rules.accuracy.shape[1]
    made: Fitted | None = None
    for split in folds(questions, seed):
        for held in split:
            rest = questions - len(held)
            means = [
                (each.sum(axis=1) - each[:, held].sum(axis=1)) / rest
                for each in (rules.accuracy, rules.cost)
            ]
            picked = choose(*means)
            if made is None:
                widths = (questions, questions, len(rules))
                made = Fitted(*(np.zeros((len(picked), width)) for width in widths))
            made.accuracy[:, held] += rules.accuracy[picked][:, held]
            made.cost[:, held] += rules.cost[picked][:, held]
            made.taken[np.arange(len(picked)), picked] += len(held)
    assert made is not None
    # Divided once: a mean of equal values is that value, and 1 is not 0.9999.
    return Fitted(made.accuracy / SPLITS, made.cost / SPLITS, made.taken / (SPLITS * questions))


def at_prices(prices: Floats) -> Choose:
    """The rule with the best accuracy minus price times cost, at each price."""

    def choose(accuracy: Floats, cost: Floats) -> Ints:
        worth = accuracy[:, None] - cost[:, None] * prices
        best: Ints = worth.argmax(axis=0)
        return best

    return choose


def cheapest(reference: int, tolerance: float) -> Choose:
    """The cheapest rule whose accuracy is at most `tolerance` below that of rule `reference`."""
    import numpy as np

    def choose(accuracy: Floats, cost: Floats) -> Ints:
        enough = accuracy >= accuracy[reference] - tolerance - 1e-12
        return np.array([np.where(enough, cost, np.inf).argmin()])

    return choose


def by_difficulty(grid: Grid, prices: Floats, seed: int) -> tuple[Floats, Floats] | None:
    """(accuracy, cost), (prices, questions): each bin of difficulty has the budget that does best
    in it on other questions. How difficult a question is, its other epochs say, at every budget;
    what they cost is not charged. None for one epoch, or too few questions."""
    import numpy as np

    questions, bins = len(grid.ids), 5 if len(grid.ids) >= 50 else 3
    if grid.epochs < 2 or questions < 2 * bins:
        return None
    chains = np.bincount(grid.question)
    right = grid.correct.mean(axis=1)
    others = np.bincount(grid.question, weights=right)[grid.question] - right
    easiness = others / (chains[grid.question] - 1)
    order = np.argsort(np.argsort(easiness, kind="stable"), kind="stable")
    bin_of = order * bins // len(order)
    accuracy, cost = (np.zeros((len(prices), questions)) for _ in range(2))
    member = np.eye(bins)[bin_of]
    weight = 1 / chains[grid.question]
    for split in folds(questions, seed):
        for held in split:
            inside = np.isin(grid.question, held)
            of_rest = (member * (weight * ~inside)[:, None]).T
            total = np.maximum(of_rest.sum(axis=1, keepdims=True), 1e-12)
            worth = (of_rest @ grid.correct / total)[:, :, None] - (of_rest @ grid.cost / total)[
                :, :, None
            ] * prices
            best = worth.argmax(axis=1)[bin_of[inside]]  # (chains inside, prices)
            rows = np.flatnonzero(inside)[:, None]
            share = weight[inside][:, None]
            np.add.at(accuracy.T, grid.question[inside], grid.correct[rows, best] * share)
            np.add.at(cost.T, grid.question[inside], grid.cost[rows, best] * share)
    return accuracy / SPLITS, cost / SPLITS


def oracle(grid: Grid, most: int = 40) -> list[tuple[float, float]]:
    """(mean cost, accuracy) of whoever knows which answers are right: every chain stops at its
    cheapest right answer or at once, those that gain most cheaply first. No rule does better."""
    import numpy as np

    chains = np.bincount(grid.question)[grid.question]
    weight = 1 / (chains * len(grid.ids))
    first = grid.cost.min(axis=1)
    right = np.where(grid.correct, grid.cost, np.inf).min(axis=1)
    able = np.isfinite(right)
    more = right[able] - first[able]
    order = np.argsort(more, kind="stable")
    cost = float(first @ weight) + np.concatenate([[0], np.cumsum((more * weight[able])[order])])
    accuracy = np.concatenate([[0], np.cumsum(weight[able][order])])
    begin = int((more <= 0).sum())
    picked = np.unique(np.linspace(begin, len(order), most).round().astype(int))
    return [(float(cost[i]), float(accuracy[i])) for i in picked]
