"""A method of somebody else's: a file of its own and a line in the table make it one of ours."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from scripted import ScriptedEngine

from s1_eval.errors import UserError
from s1_eval.evaluation.plan import Axes, plan
from s1_eval.methods import METHODS, Budget, Dial, Method, Policy, Question, settings
from s1_eval.methods.plain import Plain, free_run
from s1_eval.thinking import Outcome
from s1_eval.typed import Count, Settings


@dataclass(frozen=True, slots=True)
class Curt(Settings):
    """tokens: of thinking and answer together."""

    tokens: Count = 8
    thinking_format: str = "auto"


async def curt(policy: Policy, question: Question, params: Curt) -> Outcome:
    """Take what comes within a few tokens.

    Nothing is forced.
    """
    trace = await free_run(policy, policy.prompt_ids(question), Plain(params.tokens))
    return Outcome("7", (trace,))


CURT = Method(
    "curt",
    Curt,
    curt,
    dials=(Dial("tokens"),),
    sweep=lambda name, axes: [{"tokens": n} for n in axes.numbers("max_thinking_tokens", name)],
    budget=lambda params: Budget(params.tokens),
)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "curt", CURT)


def test_it_runs_and_records_its_budget(listed, solve):
    outcome = solve(ScriptedEngine("one two three"), "curt", tokens=3)
    assert (outcome.answer, outcome.budget) == ("7", 3)


def test_a_budget_that_only_its_coroutine_knows_is_refused(solve, monkeypatch):
    async def loud(policy: Policy, question: Question, params: Curt) -> Outcome:
        return replace(await curt(policy, question, params), budget=5)

    monkeypatch.setitem(METHODS, "loud", Method("loud", Curt, loud))
    with pytest.raises(ValueError, match="loud set a budget of 5, and its Method says None"):
        solve(ScriptedEngine("one two three"), "loud")


def test_a_sweep_makes_its_runs_from_its_own_lists(listed):
    axes = Axes(max_thinking_tokens=[4, 8])
    assert [dict(run.params) for run in plan(["curt"], axes)] == [{"tokens": 4}, {"tokens": 8}]
    with pytest.raises(UserError, match="curt needs --max-thinking-tokens"):
        plan(["curt"], Axes())


def test_its_settings_are_checked_as_ours_are(listed):
    with pytest.raises(UserError, match=r"tokens=-1: give a whole number of 0 or more"):
        settings("curt", {"tokens": -1})
    with pytest.raises(UserError, match="did you mean 'tokens'"):
        settings("curt", {"token": 1})


def test_it_says_what_it_is():
    assert CURT.summary == "Take what comes within a few tokens."
    said = CURT.describe(Curt(3))
    assert said["dials"] == [{"name": "tokens", "value": 3}]
    assert (said["control"], said["answer_limit"]) == ({"at_most": 3}, None)
