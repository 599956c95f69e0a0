"""Verifier-guided methods over scripted and seeded sequences: what each search must be equal to,
what every one of them must account for, and the corners."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scripted import ScriptedEngine, ScriptedVerifier, SeededEngine, ToyTokenizer

from s1_eval.answers import grader
from s1_eval.engines import Sampling
from s1_eval.errors import UserError
from s1_eval.methods import Policy, Question, settings
from s1_eval.methods.chain import (
    answer,
    answer_text,
    begin_thinking,
    continue_thinking,
    just_ignored,
)
from s1_eval.methods.rebase import shares
from s1_eval.methods.scoring import Guidance, choose, reduced, steps_of
from s1_eval.thinking import Segment, Trace

TOKENIZER = ToyTokenizer()
LETTERS = "aab\n\n47<|im_start|>"
SEARCHES = ("beam_search", "dvts", "rebase")
GUIDED = ("best_of_n", *SEARCHES)
QUESTION = Question("q1", "What is 2 + 2?", grader("integer"))
PAIR = {"beam_width": 2}


def letters(engine_type: type[ScriptedEngine] = SeededEngine, **options: Any) -> ScriptedEngine:
    return engine_type(LETTERS, context_length=400, **options)


def thinking(trace: Trace) -> str:
    return trace.text(TOKENIZER.decode, "thinking")


def text(trace: Trace) -> str:
    return TOKENIZER.decode(trace.ids())


async def stepwise(policy: Policy, search: Any) -> Trace:
    """One chain that stops at every step and goes on, without any search."""
    params, chain = search.search, search.search.chain
    trace, ended = begin_thinking(policy, policy.prompt_ids(QUESTION), chain)
    for _ in range(params.max_steps):
        before = trace.thinking_tokens
        while not ended:
            trace, ended = await continue_thinking(policy, trace, chain, separator="\n")
            step = policy.decode(trace.ids("thinking")[before:])
            if step.strip() and not just_ignored(trace):
                break
    return await answer(policy, trace, chain)


def policy_over(engine: ScriptedEngine, verifier: ScriptedVerifier | None = None) -> Policy:
    return Policy.bind(engine, "auto", Sampling(temperature=1.0, seed=7), (), verifier)


@pytest.mark.parametrize("ignores", [0, 2])
def test_a_beam_search_that_keeps_all_is_independent_chains_stopped_at_steps(solve, ignores):
    params = {"samples": 5, "beam_width": 1, "max_thinking_tokens": 40, "num_ignores": ignores}
    outcome = solve(letters(), "beam_search", 1.0, ScriptedVerifier(), **params)
    policy = policy_over(letters())
    chains = [
        asyncio.run(stepwise(policy.fork("sample", i), settings("beam_search", params)))
        for i in range(5)
    ]
    assert {text(t) for t in outcome.traces} == {text(t) for t in chains}
    assert outcome.generated_tokens == sum(t.generated_tokens for t in chains)
    assert len({text(t) for t in chains}) > 1


def test_dvts_with_one_subtree_is_greedy_step_search(solve):
    params = settings("dvts", {"samples": 4, "max_thinking_tokens": 40}).search.chain
    verifier = ScriptedVerifier()
    outcome = solve(letters(), "dvts", 1.0, verifier, samples=4, max_thinking_tokens=40)

    async def greedy() -> Trace:
        policy = policy_over(letters())
        best, ended = begin_thinking(policy, policy.prompt_ids(QUESTION), params)
        slots = iter(range(1000))
        own = next(slots)
        while not ended:
            names = [own, *(next(slots) for _ in range(3))]
            candidates = []
            for name in names:
                fork, trace, over = policy.fork("sample", 0, name), best, False
                before = trace.thinking_tokens
                while not over:
                    trace, over = await continue_thinking(fork, trace, params, separator="\n")
                    if fork.decode(trace.ids("thinking")[before:]).strip():
                        break
                score = verifier.judge(steps_of(fork, trace, "\n"))
                candidates.append((score, -name, trace, over))
            _, minus, best, ended = max(candidates, key=lambda c: c[:2])
            own = -minus
        return await answer(policy.fork("sample", 0, own), best, params)

    (index,) = outcome.chosen
    assert text(outcome.traces[index]) == text(asyncio.run(greedy()))


@given(
    rewards=st.lists(st.floats(0, 1), min_size=1, max_size=20),
    width=st.integers(0, 64),
    temperature=st.floats(0.001, 10),
)
def test_rebase_shares_sum_to_the_width_and_follow_the_rewards(rewards, width, temperature):
    found = shares(rewards, width, temperature)
    assert sum(found) == width
    for a, m in zip(rewards, found, strict=True):
        for b, n in zip(rewards, found, strict=True):
            assert a <= b or m >= n
    assert shares([], width, temperature) == []


def test_rebase_shares_on_a_worked_example():
    assert shares([0.9, 0.1], 4, 0.2) == [4, 0]
    assert shares([0.5, 0.5, 0.5], 7, 0.2) == [3, 2, 2]
    assert shares([0.2, 0.4], 16, 0.2) == [4, 12]


def sampled(answer: str, tokens: int) -> Trace:
    ids = tuple(TOKENIZER.encode(answer))
    thought = Segment("thinking", "sampled", tuple(TOKENIZER.encode("a" * tokens)))
    return Trace((1,), (thought, Segment("answer", "sampled", ids)), "natural")


@pytest.mark.parametrize(
    ("answers", "scores", "selection", "expected"),
    [
        (["4", "7", "04"], [0.3, 0.5, 0.3], "weighted", "4"),
        (["4", "7", "04"], [0.2, 0.5, 0.2], "weighted", "7"),
        (["4", "7", "04"], [0.3, 0.5, 0.3], "vanilla", "7"),
        (["4", "7", "04"], [0.0, 0.9, 0.0], "majority", "4"),
        (["4", "7", "7"], [0.5, 0.25, 0.25], "weighted", "7"),
        (["4", "7"], [0.0, 0.0], "vanilla", "4"),
        (["", "7"], [0.9, 0.1], "weighted", "7"),
        (["", ""], [0.9, 0.1], "weighted", ""),
    ],
    ids=[
        "the sum over equal answers wins",
        "unless one score outweighs it",
        "vanilla takes the one best score",
        "majority ignores scores",
        "equal sums: the larger group",
        "equal scores: the shorter thinking",
        "an unreadable answer has no vote",
        "nothing readable",
    ],
)
def test_the_choice_on_hand_made_scores(answers, scores, selection, expected):
    traces = [sampled(a, tokens=i + 1) for i, a in enumerate(answers)]
    params = Guidance(selection=selection)
    chosen = choose(
        policy_over(letters()), QUESTION, traces, [(0.1, score) for score in scores], params
    )
    assert asyncio.run(chosen)[0] == expected


@pytest.mark.parametrize(("how", "value"), [("last", 0.9), ("min", 0.5), ("prod", 0.36)])
def test_step_scores_reduce(how, value):
    assert reduced((0.8, 0.5, 0.9), how) == pytest.approx(value)
    assert reduced((), how) == 0.0


def test_the_first_samples_of_best_of_n_are_those_of_a_majority_vote(solve):
    voted = solve(letters(), "majority_vote", 1.0, samples=3, max_thinking_tokens=30)
    ranked = solve(
        letters(), "best_of_n", 1.0, ScriptedVerifier(), samples=5, max_thinking_tokens=30
    )
    assert ranked.traces[:3] == voted.traces
    assert ranked.extra["sample_answers"][:3] == voted.extra["sample_answers"]


def test_best_of_n_by_majority_is_majority_vote(solve):
    params = {"samples": 6, "max_thinking_tokens": 30}
    ranked = solve(letters(), "best_of_n", 1.0, ScriptedVerifier(), selection="majority", **params)
    assert ranked.answer == solve(letters(), "majority_vote", 1.0, **params).answer


def test_the_answer_is_the_last_step_that_is_scored(solve):
    verifier = ScriptedVerifier()
    engine = ScriptedEngine("\na\n\nb<|im_start|>\n4<|im_end|>")
    solve(engine, "best_of_n", verifier=verifier, samples=1)
    assert verifier.calls == [[("a", "b", "4")]]


def test_a_separator_of_several_tokens_parts_steps(solve):
    verifier = ScriptedVerifier()
    engine = ScriptedEngine("a\nb\n\nc<|im_start|>4<|im_end|>")
    outcome = solve(engine, "beam_search", verifier=verifier, samples=1, step_separator="\n\n")
    assert verifier.calls == [[("a\nb",)], [("a\nb", "c")], [("a\nb", "c", "4")]]
    assert thinking(outcome.traces[0]) == "a\nb\n\nc"


def test_a_separator_inside_a_larger_token_ends_the_step_behind_that_token(solve):
    engine = ScriptedEngine("a.\nb<|im_start|>4<|im_end|>")
    outcome = solve(engine, "beam_search", verifier=ScriptedVerifier(), samples=1)
    assert thinking(outcome.traces[0]) == "a.\nb"
    assert len(engine.calls) == 3


@pytest.mark.parametrize("name", SEARCHES)
def test_blank_steps_are_no_steps(solve, name):
    verifier = ScriptedVerifier()
    engine = ScriptedEngine("\n\n\na\n\n\nb<|im_start|>4<|im_end|>")
    outcome = solve(engine, name, verifier=verifier, samples=1)
    assert [chains[0] for chains in verifier.calls] == [("a",), ("a", "b"), ("a", "b", "4")]
    assert thinking(outcome.traces[0]) == "\n\n\na\n\n\nb"


@pytest.mark.parametrize("name", SEARCHES)
def test_a_chain_that_never_finishes_is_made_to_answer(solve, name):
    engine = SeededEngine("ab\n", context_length=400)
    outcome = solve(engine, name, 1.0, ScriptedVerifier(), samples=4, max_steps=3)
    assert outcome.exit_reason == "budget"
    for index in outcome.chosen:
        assert 3 <= thinking(outcome.traces[index]).count("\n") <= 3 * 60
        assert outcome.traces[index].ids("nudge")


@pytest.mark.parametrize("name", SEARCHES)
def test_a_step_over_its_limit_is_cut_and_goes_on(solve, name):
    engine = ScriptedEngine("aaaaaaaa\nb<|im_start|>4<|im_end|>")
    outcome = solve(engine, name, verifier=ScriptedVerifier(), samples=1, max_step_tokens=3)
    assert thinking(outcome.traces[0]) == "aaaaaaaa\nb"
    assert [c.max_tokens for c in engine.calls[:3]] == [3, 3, 3]
    assert outcome.exit_reason == "natural"


@pytest.mark.parametrize("name", SEARCHES)
def test_a_step_limit_that_only_meets_blanks_still_moves_on(solve, name):
    engine = SeededEngine("\n", context_length=400)
    outcome = solve(
        engine, name, 1.0, ScriptedVerifier(), samples=2, max_step_tokens=2, max_steps=3
    )
    assert outcome.thinking_tokens <= 2 * 3 * 2


@pytest.mark.parametrize("name", GUIDED)
def test_scores_that_are_no_numbers_count_as_the_worst(solve, name):
    params = {"samples": 4, "max_thinking_tokens": 20}
    for odd in (math.nan, math.inf):
        outcome = solve(letters(), name, 1.0, ScriptedVerifier(lambda steps, v=odd: v), **params)
        assert set(outcome.extra["sample_scores"]) == {0.0}
        assert outcome.extra["unscored_steps"] > 0
    right = ScriptedVerifier(lambda steps: math.nan if "b" in steps[-1] else 0.5)
    outcome = solve(letters(), name, 1.0, right, **params)
    assert set(outcome.extra["sample_scores"]) <= {0.0, 0.5}


@pytest.mark.parametrize("name", GUIDED)
def test_without_a_verifier_the_user_is_told_what_to_type(solve, name):
    with pytest.raises(UserError, match="--verifier nano-prm"):
        solve(letters(), name, 1.0, samples=2)


@pytest.mark.parametrize("name", [*GUIDED, "sets"])
def test_width_at_temperature_zero_is_refused(solve, name):
    with pytest.raises(UserError, match="temperature=1"):
        solve(letters(), name, 0.0, ScriptedVerifier(), samples=2)


def test_equal_chains_are_one_beam(solve):
    engine = ScriptedEngine("a\na\nb\nc\n<|im_start|><|im_start|>4<|im_end|>7<|im_end|>")
    outcome = solve(engine, "beam_search", 1.0, ScriptedVerifier(), samples=2, beam_width=1)
    kept, pruned = outcome.traces[:2], outcome.traces[2:]
    assert [thinking(t) for t in kept] == ["a\nb\n", "a\nc\n"]
    assert [(thinking(t), t.exit_reason) for t in pruned] == [("a\n", "pruned")]
    assert outcome.generated_tokens == sum(
        len(c.generation.ids) + len(c.generation.stop_ids) for c in engine.calls
    )


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("room", [-20, -1, 0, 3])
def test_a_prompt_that_leaves_no_room_is_an_answer_without_steps(solve, name, room):
    prompt = len(policy_over(letters()).prompt_ids(QUESTION)) + 2
    engine = SeededEngine(LETTERS, context_length=prompt + 106 + room)
    outcome = solve(engine, name, 1.0, ScriptedVerifier(), samples=4)
    assert outcome.exit_reason in ("context", "natural", "eos")
    assert all(len(t.prompt) + len(t.ids()) <= prompt + 106 + max(room, 0) for t in outcome.traces)


@pytest.mark.parametrize("name", GUIDED)
def test_the_answer_of_a_model_without_thinking_is_searched_step_by_step(solve, name):
    verifier = ScriptedVerifier()
    engine = ScriptedEngine("a\nb\n\\boxed{4}<|im_end|>")
    outcome = solve(engine, name, verifier=verifier, samples=1, thinking_format="none")
    assert outcome.answer == "a\nb\n\\boxed{4}"
    assert (outcome.thinking_tokens, outcome.answer_tokens) == (0, len("a\nb\n\\boxed{4}"))
    assert verifier.calls[-1] == [("a", "b", "\\boxed{4}")]
    assert outcome.generated_tokens == bills(engine)


def bills(engine: ScriptedEngine) -> int:
    return sum(len(c.generation.ids) + len(c.generation.stop_ids) for c in engine.calls)


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    script=st.lists(
        st.sampled_from(["a", "b", "\n", ".\n", "4", "<|im_start|>", "<|im_end|>"]), min_size=1
    ),
    name=st.sampled_from(GUIDED),
    samples=st.sampled_from([1, 2, 4, 6]),
    cap=st.none() | st.integers(1, 30),
    ignores=st.integers(0, 2),
    steps=st.integers(1, 6),
    step_tokens=st.integers(1, 12),
)
def test_every_search_accounts_for_every_token(
    solve, script, name, samples, cap, ignores, steps, step_tokens
):
    engine = SeededEngine([TOKENIZER.id(piece) for piece in script], context_length=260)
    verifier = ScriptedVerifier()
    params: dict[str, Any] = {"max_thinking_tokens": cap, "num_ignores": ignores}
    if name in SEARCHES:
        params |= {"max_steps": steps, "max_step_tokens": step_tokens}
    if name in ("beam_search", "dvts"):
        params |= PAIR
    outcome = solve(engine, name, 1.0, verifier, samples=samples, **params)

    assert outcome.generated_tokens == bills(engine)
    assert all(t.shared >= 0 and t.generated_tokens >= 0 for t in outcome.traces)
    assert outcome.verifier_tokens == read_once(verifier)
    assert len(outcome.extra["sample_answers"]) <= samples
    assert outcome.answer in ("", *outcome.extra["sample_answers"])
    for trace in outcome.traces:
        assert Trace.from_dict(trace.to_dict()) == trace
        assert cap is None or trace.thinking_tokens <= cap
        assert trace.num_ignores_used <= ignores
    for i in outcome.chosen:
        assert outcome.traces[i].exit_reason != "pruned"


def read_once(verifier: ScriptedVerifier) -> int:
    beginnings = {
        steps[: i + 1] for chains in verifier.calls for steps in chains for i in range(len(steps))
    }
    return sum(len(b[-1]) for b in beginnings) + len(QUESTION.prompt) * bool(beginnings)


@pytest.mark.parametrize("name", GUIDED)
def test_the_same_seed_gives_the_same_search(solve, name):
    def once() -> tuple[Any, ...]:
        outcome = solve(letters(), name, 1.0, ScriptedVerifier(), samples=4, max_thinking_tokens=30)
        return outcome.traces, outcome.answer, outcome.extra["sample_scores"]

    assert once() == once()


def test_beams_that_the_verifier_likes_go_on(solve):
    def share_of_b(judge) -> float:
        outcome = solve(
            SeededEngine("aab\n", context_length=400),
            "beam_search",
            1.0,
            ScriptedVerifier(judge),
            samples=8,
            max_thinking_tokens=40,
        )
        chains = "".join(thinking(outcome.traces[i]) for i in outcome.chosen)
        return chains.count("b") / len(chains)

    assert share_of_b(lambda steps: "".join(steps).count("b") / 50) > share_of_b(None)


@pytest.mark.parametrize(
    ("name", "params", "says"),
    [
        ("best_of_n", {"samples": 0}, "1 or more"),
        ("best_of_n", {"samples": 2, "reduce": "mean"}, "`last`, `min` or `prod`"),
        ("best_of_n", {"samples": 2, "selection": "best"}, "`weighted`, `vanilla` or `majority`"),
        ("rebase", {"samples": 2, "step_separator": ""}, "step_separator is empty"),
        ("beam_search", {"samples": 2, "beam_width": 0}, "1 or more"),
        ("beam_search", {"samples": 2, "max_steps": 0}, "1 or more"),
        ("beam_search", {"samples": 2, "min_thinking_tokens": 3}, "num_ignores"),
        ("dvts", {"samples": 6}, "a multiple of it"),
        ("rebase", {"samples": 2, "softmax_temperature": 0}, "above 0"),
        ("self_refine", {"rounds": -1}, "0 or more"),
        ("sets", {"samples": 2, "rounds": 1.5}, "0 or more"),
    ],
)
def test_bad_settings_are_refused_with_what_to_type(name, params, says):
    with pytest.raises(UserError, match=says):
        settings(name, params)


def test_answers_that_the_search_chose_from_are_texts_of_its_traces(solve):
    outcome = solve(
        letters(), "dvts", 1.0, ScriptedVerifier(), samples=4, beam_width=2, max_thinking_tokens=30
    )
    policy = policy_over(letters())
    assert outcome.extra["sample_answers"] == [
        answer_text(policy, outcome.traces[i]) for i in outcome.chosen
    ]


@pytest.mark.parametrize("name", GUIDED)
def test_the_record_has_the_score_of_every_step_of_every_trace(solve, name):
    params = PAIR if name in ("beam_search", "dvts") else {}
    outcome = solve(letters(), name, 1.0, ScriptedVerifier(), samples=4, **params)
    policy = policy_over(letters())
    scores = outcome.extra["step_scores"]
    steps = [steps_of(policy, trace, "\n") for trace in outcome.traces]
    assert [len(each) for each in scores] == [len(each) for each in steps]
    totals = [reduced(tuple(each), "last") for each in scores]
    assert totals[: len(outcome.extra["sample_scores"])] == outcome.extra["sample_scores"]
