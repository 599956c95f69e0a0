"""Self-refinement and SETS over scripted sequences."""

from __future__ import annotations

import pytest
from scripted import ScriptedEngine, SeededEngine, ToyTokenizer

from s1_eval.methods.self_refine import FEEDBACK, REFINE
from s1_eval.methods.sets import CORRECT, VERIFY, says_incorrect

TOKENIZER = ToyTokenizer()


def said(answer: str) -> str:
    return f"a<|im_start|>{answer}<|im_end|>"


def prompts(engine: ScriptedEngine) -> list[str]:
    """The prompt of every exchange: what stands before the thinking."""
    texts = (TOKENIZER.decode(call.prompt) for call in engine.calls[::2])
    return [text.removesuffix("<|im_start|>think") for text in texts]


def test_self_refinement_keeps_the_whole_exchange_in_the_conversation(solve):
    engine = ScriptedEngine(said("7") + said("wrong") + said("4"))
    outcome = solve(engine, "self_refine", rounds=1)
    assert outcome.answer == "4"
    assert outcome.extra["round_answers"] == ["7", "4"]
    last = prompts(engine)[-1]
    places = [last.index(part) for part in ("2 + 2?", "7<", FEEDBACK, "wrong<", REFINE)]
    assert places == sorted(places)
    assert outcome.thinking_tokens == 1
    assert outcome.generated_tokens == sum(
        len(c.generation.ids) + len(c.generation.stop_ids) for c in engine.calls
    )


def test_no_rounds_of_self_refinement_are_budget_forcing(solve):
    def traces(name: str, **params: object) -> object:
        engine = SeededEngine("ab4\n<|im_start|>", context_length=400)
        return solve(engine, name, 1.0, max_thinking_tokens=20, **params).traces

    assert traces("self_refine", rounds=0) == traces("budget_forcing")


def test_sets_stops_correcting_when_the_model_verifies(solve):
    engine = ScriptedEngine(
        said("7")
        + said("The answer is incorrect.")
        + said("4")
        + said("The answer is correct.")
        + said("5")
    )
    outcome = solve(engine, "sets", samples=1, rounds=5)
    assert (outcome.answer, outcome.extra["verifications"]) == ("4", [2])
    assert len(outcome.traces) == 4
    assert VERIFY in prompts(engine)[1]
    assert CORRECT in prompts(engine)[2]


def test_sets_keeps_the_last_correction_when_the_rounds_are_used_up(solve):
    engine = ScriptedEngine((said("7") + said("The answer is incorrect.")) * 3)
    outcome = solve(engine, "sets", samples=1, rounds=2)
    assert outcome.extra["verifications"] == [2]
    assert outcome.answer == "7"
    assert len(outcome.traces) == 5


def test_no_rounds_of_sets_are_majority_vote(solve):
    def outcome(name: str, **params: object) -> object:
        engine = SeededEngine("ab4\n7<|im_start|>", context_length=400)
        found = solve(engine, name, 1.0, samples=5, max_thinking_tokens=20, **params)
        return found.traces, found.answer

    assert outcome("sets", rounds=0) == outcome("majority_vote")


@pytest.mark.parametrize(
    ("verification", "incorrect"),
    [
        ("so the answer is incorrect", True),
        ("The answer is incorrect. No, wait: the answer is correct.", False),
        ("", False),
        ("this is incorrect", False),
    ],
)
def test_an_answer_stands_unless_the_last_verdict_is_against_it(verification, incorrect):
    assert says_incorrect(verification) is incorrect
