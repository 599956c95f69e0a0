"""Rules stop where they say, see nothing that comes later, pay for what they ask, and are scored on
questions that had no part in choosing them."""

import numpy as np
import pytest
from chains import swept
from hypothesis import given, settings
from hypothesis import strategies as st

from s1_eval.metrics import stopping
from s1_eval.metrics.budgets import Grid, Traced, budget_series, chains, one_chain

CAPS = [8, 16, 32, 64]


def made(*given, caps=CAPS, **more):
    runs, rows = swept(*given, caps, **more)
    found = budget_series(runs)
    return chains(found[0], "generated_tokens", *one_chain(found, rows))


def test_agreement_counts_equal_answers_in_a_row_and_no_answer_is_none():
    answers = np.array([[0, 0, 0, 1], [0, 1, 1, 1], [-1, -1, 0, 0]])
    assert stopping.agreement(answers).tolist() == [[1, 2, 3, 1], [1, 1, 2, 3], [0, 0, 1, 2]]


def test_a_chain_stops_where_the_rule_is_met_or_it_is_over():
    hit = np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]], dtype=bool)
    ended = np.array([[0, 0, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
    assert stopping.stops(hit, ended).tolist() == [1, 2, 3]


def rule(rules, name):
    return rules.names.index(name)


def test_an_agreement_is_charged_for_what_it_asked():
    """Two equal answers at 8 and 16: 16 thinking tokens, and two answers of two tokens."""
    rules = stopping.agreeing(made([["8", "8", "7", "7"], ["1", "8", "7", "7"]]))
    at = rule(rules, "stop when 2 answers in a row agree, asked at 8, 16, 32, at the latest at 64")
    assert rules.accuracy[at].tolist() == [0, 1]
    assert rules.cost[at].tolist() == [16 + 2 * 2, 64 + 4 * 2]
    short = rule(rules, "stop when 2 answers in a row agree, asked at 8, at the latest at 16")
    assert rules.cost[short].tolist() == [20, 20]


def test_a_chain_that_is_over_is_asked_no_more():
    grid = made([["1", "7", "7", "7"]], lengths=[12])
    rules = stopping.agreeing(grid)
    at = rule(rules, "stop when 2 answers in a row agree, asked at 8, 16, 32, at the latest at 64")
    assert rules.cost[at].tolist() == [12 + 2 * 2]


@settings(deadline=None)
@given(st.data())
def test_what_lies_behind_a_stop_changes_nothing(data):
    """Neither the answers, verdicts, ends nor costs behind it, nor any verdict at all."""
    n, budgets = 6, 5
    random = np.random.default_rng(data.draw(st.integers(0, 1 << 20)))
    answers = random.integers(-1, 2, (n, budgets))
    ended = np.cumsum(random.random((n, budgets)) < 0.2, axis=1) > 0
    k = data.draw(st.sampled_from([2, 3]))
    at = stopping.stops(stopping.agreement(answers) >= k, ended)
    behind = np.arange(budgets) > at[:, None]
    other = np.where(behind, random.integers(-1, 3, answers.shape), answers)
    over = np.where(behind, random.random(ended.shape) < 0.5, ended)
    again = stopping.stops(stopping.agreement(other) >= k, over)
    assert at.tolist() == again.tolist()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 20))
def test_costs_and_stops_of_every_rule_are_blind_to_verdicts_and_to_later_budgets(seed):
    random = np.random.default_rng(seed)
    n, budgets = 8, 5
    thinking = np.tile(2.0 ** np.arange(3, 3 + budgets), (n, 1))
    fields = {
        "varied": "max_thinking_tokens",
        "labels": tuple(map(str, range(budgets))),
        "values": tuple(range(budgets)),
        "ids": tuple(map(str, range(n))),
        "question": np.arange(n),
        "answers": random.integers(-1, 2, (n, budgets)),
        "ended": np.zeros((n, budgets), dtype=bool),
        "thinking": thinking,
        "cost": thinking + 2,
        "probe": np.full((n, budgets), 2.0),
        "confidence": random.random((n, budgets)),
        "prompt": random.integers(5, 50, n).astype(float),
        "shared": True,
        "notes": (),
    }
    one = Grid(correct=random.random((n, budgets)) < 0.5, **fields)
    other = Grid(correct=random.random((n, budgets)) < 0.5, **fields)
    last = {**fields, "answers": fields["answers"].copy(), "cost": fields["cost"].copy()}
    last["answers"][:, -1] = 9
    last["cost"][:, -1] = 1e6
    later = Grid(correct=one.correct, **last)
    for kind in (stopping.agreeing, stopping.confident, stopping.by_length):
        assert kind(one).names == kind(other).names
        assert (kind(one).cost == kind(other).cost).all()
        named = enumerate(kind(one).names)
        early = [i for i, n in named if f" {budgets - 1}" not in n and "times the prompt" not in n]
        assert early
        assert (kind(one).cost[early] == kind(later).cost[early]).all()
        assert (kind(one).accuracy[early] == kind(later).accuracy[early]).all()


def test_a_budget_by_prompt_length_knows_the_length_alone():
    """Prompts of 5 and 40 tokens, whose next budgets are 8 and 64."""
    short, long = ["7", "1", "1", "1"], ["1", "1", "1", "7"]
    runs, _ = swept([short, long] * 6, CAPS)
    prompts = {f"q{q:03}": [5, 40][q % 2] for q in range(12)}
    grid = chains(budget_series(runs)[0], "generated_tokens", Traced(True, prompts))
    rules = stopping.by_length(grid)
    best = rules.accuracy.mean(axis=1)
    at = rule(rules, "cap at 8 for prompts of up to 6 tokens, else cap at 64")
    assert (best[at], rules.cost[at].mean()) == (1, (10 + 66) / 2)
    grown = rule(rules, "cap at the next budget above 1 times the prompt's tokens")
    assert rules.cost[grown].tolist() == [10, 66] * 6
    assert stopping.by_length(made([short, long])) is None


def test_a_choice_never_sees_the_questions_that_it_is_scored_on():
    """Turning a question's verdicts over changes what others are given, and nothing of its own
    choices: with each question a fold, the rule taken for it stays."""
    random = np.random.default_rng(0)
    accuracy, cost = random.random((20, 9)), random.random((20, 9))
    rules = stopping.Rules("x", tuple(map(str, range(20))), accuracy, cost)
    choose = stopping.cheapest(0, 0.0)
    before = stopping.cross_fit(rules, choose, 0).cost[0]
    for q in range(9):
        changed = accuracy.copy()
        changed[:, q] = 1 - changed[:, q]
        after = stopping.Rules("x", rules.names, changed, cost)
        assert stopping.cross_fit(after, choose, 0).cost[0][q] == pytest.approx(before[q])
    assert stopping.cross_fit(rules, lambda a, c: np.array([a.argmax()]), 0).accuracy.shape == (
        1,
        9,
    )


def test_the_cheapest_that_keeps_the_accuracy_is_taken():
    choose = stopping.cheapest(2, 0.01)
    assert choose(np.array([0.5, 0.795, 0.8]), np.array([1.0, 2.0, 3.0])).tolist() == [1]
    assert choose(np.array([0.5, 0.7, 0.8]), np.array([1.0, 2.0, 3.0])).tolist() == [2]


def test_difficulty_needs_epochs_and_gives_hard_questions_more():
    """Easy questions are right at once, hard ones at the largest budget alone."""
    easy, hard = ["7", "7", "7", "7"], ["1", "2", "3", "7"]
    grid = made([each for q in range(24) for each in [[easy, hard][q % 2]] * 2], epochs=2)
    accuracy, cost = stopping.by_difficulty(grid, np.array([1e-3]), 0)
    assert accuracy[0] == pytest.approx(np.ones(24))
    # Three bins of eight questions: the middle one holds both kinds, and takes the largest.
    assert sorted(cost[0].round()) == [10] * 8 + [66] * 16
    assert stopping.by_difficulty(made([easy, hard] * 6), np.array([1e-3]), 0) is None


def test_the_oracle_buys_the_cheapest_right_answers_first():
    grid = made([["7", "7", "7", "7"], ["1", "7", "7", "7"], ["1", "1", "1", "1"]])
    spots = stopping.oracle(grid)
    assert spots[0] == pytest.approx((10, 1 / 3))
    assert spots[-1] == pytest.approx(((10 + 18 + 10) / 3, 2 / 3))
