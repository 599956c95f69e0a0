"""The unforced run: the delimiter is found in what the model wrote."""

from __future__ import annotations

import pytest
from scripted import ScriptedEngine, ToyTokenizer

from s1_eval.evaluation.benchmark import SameText
from s1_eval.methods import Policy, Question

TOKENIZER = ToyTokenizer()


def test_thinking_and_answer_are_split_at_the_delimiter_the_model_wrote(solve):
    engine = ScriptedEngine("a\n<|im_start|>answer\n4<|im_end|>")
    outcome = solve(engine, "plain")
    (trace,) = outcome.traces
    assert [(s.role, s.origin, TOKENIZER.decode(s.ids)) for s in trace.segments] == [
        ("delimiter", "forced", "<|im_start|>think"),
        ("thinking", "sampled", "a\n"),
        ("delimiter", "sampled", "<|im_start|>answer"),
        ("answer", "sampled", "\n4"),
    ]
    assert (outcome.exit_reason, outcome.answer, outcome.budget) == ("natural", "4", None)


def test_a_delimiter_spelled_with_other_tokens_is_found_by_its_text(solve):
    tokenizer = ToyTokenizer(
        (
            "<|im_start|>",
            "<|im_end|>",
            "think",
            "answer",
            "</",
            "</think>",
            *"<>/thinkaswer\n .4What2+?us",
        )
    )
    spelled = [tokenizer.id(p) for p in ("a", "</", "think", ">", "4", "<|im_end|>")]
    (trace,) = solve(
        ScriptedEngine(spelled, tokenizer=tokenizer), "plain", thinking_format="think_tags"
    ).traces
    assert trace.text(tokenizer.decode, "thinking") == "a"
    assert trace.text(tokenizer.decode, "delimiter") == "<think>\n</think>"
    assert trace.text(tokenizer.decode, "answer") == "4"


@pytest.mark.parametrize(
    ("script", "params", "reason"),
    [
        ("aaa<|im_end|>", {}, "eos"),
        ("aaaaaaaa", {"max_tokens": 4}, "budget"),
    ],
)
def test_without_a_delimiter_all_is_thinking_and_nothing_an_answer(solve, script, params, reason):
    outcome = solve(ScriptedEngine(script), "plain", **params)
    assert (outcome.exit_reason, outcome.answer, outcome.answer_tokens) == (reason, "", 0)
    assert outcome.thinking_tokens == 4 - (reason == "eos")


def test_an_answer_cut_by_the_limit_says_so(solve):
    outcome = solve(ScriptedEngine("a<|im_start|>answer4444"), "plain", max_tokens=5)
    assert (outcome.exit_reason, outcome.answer) == ("natural", "44")
    assert outcome.traces[0].answer_cut


def test_a_template_that_is_changed_in_place_makes_the_next_prompt():
    engine = ScriptedEngine("a", tokenizer=ToyTokenizer())
    policy, question = Policy.bind(engine), Question("0", "Why?", SameText())
    first = policy.prompt_ids(question)
    engine.tokenizer.chat_template = "{{ messages[0].content }}"
    assert TOKENIZER.decode(policy.prompt_ids(question)) == "Why?"
    assert first == Policy.bind(ScriptedEngine("a")).prompt_ids(question)
