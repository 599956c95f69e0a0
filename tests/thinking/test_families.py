"""The public chat templates: what is found in each, and what is then forced. The table was written
by reading the templates."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from families import families, family_tokenizer
from scripted import ScriptedEngine

from s1_eval.answers import grader
from s1_eval.engines import Sampling
from s1_eval.errors import UserError
from s1_eval.methods import METHODS, Policy, Question, settings
from s1_eval.thinking import Chat, detect, encode_exactly

pytestmark = pytest.mark.skipif(not families(), reason="needs ../shared/data/templates")

NL = ("<think>\n", "</think>", "\n</think>\n\n", "")
BARE = ("<think>", "</think>", "</think>", "")
NONE = ("", None, "", "")
HARMONY_END = "<|end|><|start|>assistant<|channel|>final<|message|>"
THINKING = {"enable_thinking": True}
EXPECTED = {
    # name: (thinking, opened, (start, stop, end, answer_close), arguments)
    "r1-distill-llama": ("on", True, NL, {}),
    "r1-distill-qwen": ("on", True, NL, {}),
    "r1-distill-qwen-lcpp": (
        "off",
        False,
        ("<think>\n", "</think>", "\n</think>", ""),
        THINKING,
    ),
    "qwq-32b": ("on", True, NL, {}),
    "qwen3": ("on", False, NL, THINKING),
    "qwen3-instruct-2507": ("none", False, NONE, {}),
    "qwen3-coder": ("none", False, NONE, {}),
    "qwen3-vl": ("none", False, NONE, {}),
    "qwen3.5-think": ("on", True, NL, THINKING),
    "qwen3.5-nothink": ("off", False, NL, THINKING),
    "qwen2.5-instruct": ("none", False, NONE, {}),
    "gpt-oss": (
        "on",
        False,
        ("<|channel|>analysis<|message|>", "<|end|>", HARMONY_END, ""),
        {},
    ),
    "seed-oss": (
        "on",
        False,
        ("<seed:think>", "</seed:think>", "</seed:think>\n", ""),
        {"thinking_budget": -1},
    ),
    "kimi-k2-thinking": ("on", False, BARE, {}),
    "kimi-k2-instruct": ("none", False, NONE, {}),
    "minimax-m2": ("on", True, NL, {}),
    "minimax-m1": ("none", False, NONE, {}),
    "ministral-3-reasoning": ("on", False, ("[THINK]", "[/THINK]", "[/THINK]", ""), {}),
    "mistral-small-3.2": ("none", False, NONE, {}),
    "nemotron-nano-v2": ("on", True, NL, {}),
    "granite-3.3": (
        "off",
        False,
        ("<think>", "</think>", "</think><response>", "</response>"),
        {"thinking": True},
    ),
    "granite-4.0": ("none", False, NONE, {}),
    "glm-4.7-flash": ("on", True, BARE, THINKING),
    "apertus": (
        "off",
        False,
        ("<|inner_prefix|>", "<|inner_suffix|>", "<|inner_suffix|>", ""),
        THINKING,
    ),
    "smollm3": ("on", False, ("<think>\n", "</think>", "\n</think>\n", ""), THINKING),
    "exaone-4": ("off", False, NL, THINKING),
    "command-r7b": (
        "off",
        False,
        (
            "<|START_THINKING|>",
            "<|END_THINKING|>",
            "<|END_THINKING|><|START_RESPONSE|>",
            "<|END_RESPONSE|>",
        ),
        THINKING,
    ),
    "cohere2moe": (
        "on",
        True,
        (
            "<|START_THINKING|>",
            "<|END_THINKING|>",
            "<|END_THINKING|><|START_TEXT|>",
            "<|END_TEXT|>",
        ),
        {"reasoning_effort": "high", "reasoning": True},
    ),
    "lfm2.5": ("on", False, BARE, {}),
    "lfm2.5-instruct": ("none", False, NONE, {}),
    "mimo-vl": ("none", False, NONE, {}),
    "deepseek-v3.1": ("off", False, BARE, THINKING | {"thinking": True}),
    "deepseek-v3.2": ("off", False, BARE, THINKING | {"thinking": True}),
    "deepseek-v4": ("off", False, BARE, THINKING | {"thinking": True}),
    "gemma-4": ("off", False, ("<|channel>thought\n", "<channel|>", "\n<channel|>", ""), THINKING),
    "gemma-2": ("none", False, NONE, {}),
    "ling-3": ("on", True, BARE, THINKING | {"thinking_option": "on"}),
    "apriel-1.6": (
        "on",
        True,
        (
            "Here are my reasoning steps:\n",
            "[BEGIN FINAL RESPONSE]",
            "\n[BEGIN FINAL RESPONSE]\n",
            "",
        ),
        {},
    ),
    "minicpm5": ("on", False, NL, THINKING),
    "rwkv-world": ("off", False, BARE, THINKING),
    "llama-3.2-instruct": ("none", False, NONE, {}),
    "phi-3.5": ("none", False, NONE, {}),
    "nemotron-super-v1.5": ("on", False, NL, {}),
    "phi-4-reasoning": ("on", False, NL, {}),
    "kimi-vl-thinking": ("none", False, NONE, {}),
    "deephermes-3": ("none", False, NONE, {}),
    "nemotron-super-v1": ("none", False, NONE, {}),
    "base-model": ("none", False, NONE, {}),
}


def test_every_family_is_in_the_table():
    assert set(families()) == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_found(name):
    state, opened, (start, stop, end, close), arguments = EXPECTED[name]
    found = detect("auto", family_tokenizer(name), name).to_dict()
    assert found["thinking"] == state
    assert (found["start"], found["stop"], found["end"], found["answer_close"]) == (
        start,
        [stop] if stop else [],
        end,
        close,
    )
    assert found["opened"] is opened
    assert found["arguments"] == arguments
    assert (found["source"] == "none") is (state == "none")


def policy(name, script, **chat):
    """A policy of the family over an engine that says `script`."""
    tokenizer = family_tokenizer(name)
    engine = ScriptedEngine(
        tokenizer.encode(script, add_special_tokens=False), tokenizer=tokenizer, context_length=9999
    )
    engine.info = replace(engine.info, chat=Chat.take(chat)[0])
    return Policy.bind(engine, "auto", Sampling())


def solve(bound, method, **params):
    question = Question("q", "2+2?", grader("integer"))
    return asyncio.run(METHODS[method].run(bound, question, settings(method, params)))


def parts(bound, trace):
    return [(s.role, s.origin, bound.decode(s.ids)) for s in trace.segments]


THINKERS = [name for name, (state, *_) in EXPECTED.items() if state != "none"]


@pytest.mark.parametrize("name", THINKERS)
@pytest.mark.parametrize("way", ["natural", "cap", "ignore"])
def test_what_is_forced(name, way):
    state, opened, (start, stop, end, close), arguments = EXPECTED[name]
    chat = {"chat_template_kwargs": dict([*arguments.items()][:1])} if state == "off" else {}
    eos = family_tokenizer(name).eos_token
    forced = {"max_thinking_tokens": 4} if way == "cap" else {"num_ignores": int(way == "ignore")}
    lead = end[: len(end) - len(end.lstrip())]
    script = {
        "natural": f"abcde{lead}{stop}4{close}{eos}",
        "cap": f"abcd4{close}{eos}",
        "ignore": f"ab{lead}{stop}cd{lead}{stop}4{close}{eos}",
    }[way]
    bound = policy(name, script, **chat)
    outcome = solve(bound, "budget_forcing", final_answer_nudge="", **forced)
    (trace,) = outcome.traces
    prompt = bound.decode(trace.prompt)
    opened = opened or prompt.rstrip().endswith(start.strip())
    opening = [] if opened else [("delimiter", "forced", start)]
    assert not prompt.rstrip().endswith(stop)
    thought = {
        "natural": [("thinking", "sampled", f"abcde{lead}")],
        "cap": [("thinking", "sampled", "abcd")],
        "ignore": [
            ("thinking", "sampled", f"ab{lead}"),
            ("thinking", "forced", "Wait"),
            ("thinking", "sampled", f"cd{lead}"),
        ],
    }[way]
    closing = end if way == "cap" else end.lstrip()
    assert parts(bound, trace) == [
        *opening,
        *thought,
        ("delimiter", "forced", closing),
        ("answer", "sampled", "4"),
    ]
    assert trace.exit_reason == ("budget" if way == "cap" else "natural")
    assert (outcome.answer, outcome.num_ignores_used) == ("4", int(way == "ignore"))
    assert trace.ids("delimiter")[-1:] == encode_exactly(bound.engine.tokenizer, end, name)[-1:]


SWITCHED_OFF = [name for name, (state, *_) in EXPECTED.items() if state == "off"]


@pytest.mark.parametrize("name", SWITCHED_OFF)
def test_thinking_that_is_switched_off_is_not_forced(name):
    bound = policy(name, "4" + family_tokenizer(name).eos_token)
    argument = next(iter(EXPECTED[name][3]))
    with pytest.raises(UserError, match=f"""chat_template_kwargs='{{"{argument}": true}}'"""):
        bound.need_thinking("budget_forcing")
    with pytest.raises(UserError, match=argument):
        solve(bound, "budget_forcing")
    for method in ("plain", "self_refine", "majority_vote"):
        bound = policy(name, 3 * f"4{family_tokenizer(name).eos_token}")
        outcome = solve(bound, method, **({"samples": 1} if method == "majority_vote" else {}))
        assert (outcome.answer, outcome.thinking_tokens, outcome.forced_tokens) == ("4", 0, 0)


@pytest.mark.parametrize("name", [n for n, (state, *_) in EXPECTED.items() if state == "none"][:-1])
def test_a_model_without_thinking_answers_without_being_told_anything(name):
    for method in ("plain", "self_refine"):
        bound = policy(name, 3 * f"4{family_tokenizer(name).eos_token}")
        outcome = solve(bound, method)
        assert (outcome.answer, outcome.thinking_tokens, outcome.forced_tokens) == ("4", 0, 0)
    with pytest.raises(UserError, match="thinking_format=none"):
        solve(bound, "budget_forcing")
