"""The control baselines and the sampling methods over the scripted engine."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scripted import S1_TEMPLATE as S1
from scripted import ScriptedEngine, ToyTokenizer

from s1_eval.answers import grader
from s1_eval.engines import Sampling
from s1_eval.errors import UserError
from s1_eval.methods import METHODS, Policy, Question, settings
from s1_eval.methods.voting import group_answers

TOKENIZER = ToyTokenizer()
ANSWER = "<|im_start|>\n4<|im_end|>"


def prompt_text(engine: ScriptedEngine) -> str:
    return TOKENIZER.decode(engine.calls[0].prompt)


def test_token_conditional_only_asks(solve):
    engine = ScriptedEngine("a" * 40 + ANSWER)
    outcome = solve(engine, "token_conditional", tokens=16)
    assert "What is 2 + 2?\n\nThink for up to 16 tokens.<|im_end|>" in prompt_text(engine)
    assert (outcome.thinking_tokens, outcome.budget, outcome.exit_reason) == (40, 16, "natural")


def test_token_conditional_with_a_cap_is_forced_to_what_it_was_asked(solve):
    engine = ScriptedEngine("a" * 40 + ANSWER)
    outcome = solve(engine, "token_conditional", max_thinking_tokens=16)
    assert "Think for up to 16 tokens." in prompt_text(engine)
    assert (outcome.thinking_tokens, outcome.budget, outcome.exit_reason) == (16, 16, "budget")


COUNTDOWN = "<|im_start|>2 steps left\na\n<|im_start|>1 steps left\nb\n<|im_start|>0 steps left\n"


def test_step_conditional_reads_through_the_step_headers(solve):
    engine = ScriptedEngine(COUNTDOWN + "<|im_start|>answer\n4<|im_end|>")
    outcome = solve(engine, "step_conditional", steps=2)
    assert "Think for up to 2 steps." in prompt_text(engine)
    assert outcome.traces[0].text(TOKENIZER.decode, "thinking") == COUNTDOWN
    assert (outcome.budget, outcome.extra["steps_written"]) == (200, 3)
    assert outcome.answer == "4"


def test_step_conditional_with_a_cap_stops_at_the_header_of_zero(solve):
    engine = ScriptedEngine(COUNTDOWN + "<|im_start|>answer\n4<|im_end|>")
    outcome = solve(engine, "step_conditional", steps=2, max_thinking_tokens=200)
    thinking = outcome.traces[0].text(TOKENIZER.decode, "thinking")
    assert thinking == COUNTDOWN.removesuffix("<|im_start|>0 steps left\n")
    assert outcome.exit_reason == "natural"


def test_a_model_that_never_counts_down_is_seen_in_the_record(solve):
    engine = ScriptedEngine("aa<|im_start|>answer\n4<|im_end|>")
    assert solve(engine, "step_conditional", steps=2).extra["steps_written"] == 0


@pytest.mark.parametrize(
    ("length", "says"),
    [("short", "a short amount of thinking"), ("long", "double-check your work until")],
)
def test_class_conditional_asks_in_the_papers_words(solve, length, says):
    engine = ScriptedEngine("a" + ANSWER)
    solve(engine, "class_conditional", length=length)
    assert says in prompt_text(engine)


def test_class_conditional_default_is_the_unprompted_run(solve):
    engine = ScriptedEngine("a" + ANSWER)
    solve(engine, "class_conditional", length="default")
    assert "What is 2 + 2?<|im_end|>" in prompt_text(engine)


def test_rejection_sampling_takes_the_first_thinking_that_fits_and_pays_for_all(solve):
    engine = ScriptedEngine("a" * 6 + "bbb" + "<|im_start|>" + "4<|im_end|>")
    outcome = solve(engine, "rejection_sampling", temperature=1.0, max_thinking_tokens=5)
    assert outcome.extra["tries"] == 2
    assert (outcome.thinking_tokens, outcome.generated_tokens) == (3, 6 + 3 + 1 + 1 + 1)
    assert outcome.answer == "4"
    assert len({call.sampling.seed for call in engine.calls}) == len(engine.calls)


def test_a_thinking_of_exactly_the_budget_fits(solve):
    engine = ScriptedEngine("a" * 5 + ANSWER)
    outcome = solve(engine, "rejection_sampling", temperature=1.0, max_thinking_tokens=5)
    assert (outcome.extra["tries"], outcome.thinking_tokens) == (1, 5)


def test_what_never_fits_is_unanswered_and_paid_for(solve):
    engine = ScriptedEngine("a", cyclic=True)
    outcome = solve(
        engine, "rejection_sampling", temperature=1.0, max_thinking_tokens=5, max_tries=3
    )
    assert (outcome.answer, outcome.chosen, outcome.thinking_tokens) == ("", (), 0)
    assert outcome.generated_tokens == 3 * 6
    assert outcome.exit_reason == "budget"


@pytest.mark.parametrize(
    ("name", "params"),
    [("rejection_sampling", {"max_thinking_tokens": 5}), ("majority_vote", {"samples": 2})],
)
def test_sampling_at_temperature_zero_is_refused(solve, name, params):
    with pytest.raises(UserError, match="temperature=1"):
        solve(ScriptedEngine("a" + ANSWER), name, **params)


def test_the_majority_is_by_equality_not_by_spelling(solve):
    engine = ScriptedEngine(
        "a<|im_start|>7<|im_end|>a<|im_start|>04<|im_end|>a<|im_start|>4<|im_end|>"
    )
    outcome = solve(engine, "majority_vote", temperature=1.0, samples=3)
    assert outcome.answer in ("04", "4")
    assert sorted(outcome.extra["votes"]) == [1, 2]
    assert outcome.thinking_tokens == 3


def test_the_first_samples_of_a_large_vote_are_those_of_a_small_one(solve):
    def seeds(samples: int) -> set[int | None]:
        engine = ScriptedEngine("a<|im_start|>7<|im_end|>", cyclic=True)
        solve(engine, "majority_vote", temperature=1.0, samples=samples)
        return {call.sampling.seed for call in engine.calls}

    assert seeds(2) < seeds(4)


def test_an_unreadable_answer_has_no_vote():
    answers = ["", "Final Answer: 7", "Final Answer:", "7"]
    assert group_answers(grader("integer"), answers) == [[1, 3]]


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    script=st.lists(st.sampled_from("ab\n47"), max_size=20).map("".join),
    ends=st.sampled_from(["<|im_start|>4<|im_end|>", "<|im_end|>", ""]),
    budget=st.integers(1, 12),
    tries=st.integers(1, 4),
    samples=st.integers(1, 4),
)
def test_every_sampled_token_is_accounted_for(solve, script, ends, budget, tries, samples):
    for name, params in (
        ("rejection_sampling", {"max_thinking_tokens": budget, "max_tries": tries}),
        ("majority_vote", {"max_thinking_tokens": budget, "samples": samples}),
        ("token_conditional", {"max_thinking_tokens": budget}),
        ("step_conditional", {"steps": budget, "max_thinking_tokens": budget}),
        ("class_conditional", {"length": "long", "max_thinking_tokens": budget}),
    ):
        engine = ScriptedEngine(script + ends, context_length=250, cyclic=True)
        outcome = solve(engine, name, temperature=1.0, **params)
        assert outcome.generated_tokens == sum(
            len(c.generation.ids) + len(c.generation.stop_ids) for c in engine.calls
        )
        for i in outcome.chosen:
            assert outcome.traces[i].thinking_tokens <= budget


class DialEngine(ScriptedEngine):
    """An engine whose chat template takes a level of effort and a number of tokens."""

    def __init__(self) -> None:
        template = (
            "{% if reasoning_effort is defined %}Effort: {{ reasoning_effort }}.\n{% endif %}"
            "{% if thinking_budget is defined %}Budget: {{ thinking_budget }}.\n{% endif %}"
        )
        super().__init__(
            "a<|im_start|>answer4<|im_end|>", tokenizer=ToyTokenizer(chat_template=template + S1)
        )


def asked(name, **params):
    engine = DialEngine()
    bound = Policy.bind(engine, "auto", Sampling())
    question = Question("q", "2+2?", grader("integer"))
    outcome = asyncio.run(METHODS[name].run(bound, question, settings(name, params)))
    return engine.tokenizer.decode(engine.calls[0].prompt), outcome.extra["asked_by"]


@pytest.mark.parametrize(("length", "level"), [("short", "low"), ("long", "high"), ("max", "max")])
def test_a_template_that_takes_a_level_of_effort_is_asked_by_it(length, level):
    prompt, asked_by = asked("class_conditional", length=length)
    assert prompt.startswith(f"Effort: {level}.\n<|im_start|>")
    assert "thinking" not in prompt
    assert asked_by == "reasoning_effort"


def test_a_template_that_takes_a_budget_is_asked_by_it():
    prompt, asked_by = asked("token_conditional", tokens=77)
    assert prompt.startswith("Budget: 77.\n<|im_start|>")
    assert "up to" not in prompt
    assert asked_by == "thinking_budget"


def test_a_level_that_no_template_takes_is_refused(solve):
    with pytest.raises(UserError, match=r"length=xhigh: .* knows no level of effort"):
        solve(ScriptedEngine("a"), "class_conditional", length="xhigh")
