"""How the format is found in templates of other shapes than the public ones."""

from __future__ import annotations

import json

import pytest
from families import tokenizer
from scripted import ScriptedEngine

from s1_eval.engines import Sampling
from s1_eval.errors import UserError
from s1_eval.methods import Policy
from s1_eval.thinking import Chat, detect

HEAD = "{% for m in messages %}<|im_start|>{{ m.role }}\n"
TAIL = "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


def turns(body, tail=TAIL):
    return HEAD + body + tail


def found(template, spec="auto", **chat):
    return detect(spec, tokenizer(template), "m", Chat.take(chat)[0])


HUNYUAN = turns(
    "{% if m.role == 'assistant' and m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n"
    "</think>\n<answer>\n{{ m.content }}\n</answer>{% else %}{{ m.content }}{% endif %}"
)
SOLAR = (
    "{% for m in messages %}<|begin|>{{ m.role }}{% if m.reasoning %}<|think|>{{ m.reasoning }}"
    "<|end|><|begin|>assistant{% endif %}<|content|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|begin|>assistant{% endif %}"
)
MINIFIED = (
    "{%set a='<th'~'ink>'%}{%for m in messages%}[{{m.role}}]{%if m['thought'] is defined%}"
    "{{a+m['thought']+'</th'+'ink>'}}{%endif%}{{m.content}}[end]{%endfor%}"
    "{%if add_generation_prompt%}[assistant]{%endif%}"
)
LAST_TURN_ONLY = turns(
    "{% if m.thinking and loop.last %}<r>\n{{ m.thinking }}\n</r>\n{% endif %}{{ m.content }}"
)
BLOCKS = turns(
    "{% if m.content is string %}{{ m.content }}{% else %}{% for b in m.content %}"
    "{% if b.type == 'reasoning' %}◁think▷{{ b.text }}◁/think▷{% elif b.type == 'text' %}"
    "{{ b.text }}{% else %}{{ raise_exception('what?') }}{% endif %}{% endfor %}{% endif %}"
)
GLM46 = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.reasoning_content %}"
    "{{ '\n<think>' + m.reasoning_content + '</think>' }}{% endif %}{{ '\n' + m.content }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '\n<think></think>' }}"
    "{% endif %}"
    "{% endif %}"
)


@pytest.mark.parametrize(
    ("template", "parts"),
    [
        (HUNYUAN, ("<think>\n", ["</think>"], "\n</think>\n<answer>\n", "</answer>")),
        (SOLAR, ("<|think|>", ["<|end|>"], "<|end|><|begin|>assistant<|content|>", "")),
        (MINIFIED, ("<think>", ["</think>"], "</think>", "")),
        (LAST_TURN_ONLY, ("<r>\n", ["</r>"], "\n</r>\n", "")),
        (BLOCKS, ("◁think▷", ["◁/think▷"], "◁/think▷", "")),
        (GLM46, ("\n<think>", ["</think>"], "</think>\n", "")),
    ],
)
def test_what_stands_around_a_reasoning_is_the_format(template, parts):
    seen = found(template).to_dict()
    assert (seen["thinking"], seen["source"], seen["opened"]) == ("on", "template", False)
    assert (seen["start"], seen["stop"], seen["end"]) == parts[:3]
    if template is not SOLAR and template is not MINIFIED:
        assert seen["answer_close"] == parts[3]


@pytest.mark.parametrize(
    ("opening", "start", "stop"),
    [("<thought>\n", "<thought>\n", "</thought>"), ("<think>", "<think>", "</think>")],
)
def test_a_prompt_that_opens_the_thinking_is_the_format(opening, start, stop):
    seen = found(
        turns("{{ m.content }}", TAIL.replace("assistant\n{", "assistant\n" + opening + "{"))
    )
    assert (seen.source, seen.state, seen.opened) == ("prompt", "on", True)
    assert (seen.format.start, seen.format.stops) == (start, (stop,))


@pytest.mark.parametrize(
    "body",
    [
        "{{ m.content }}{{ m.reasoning_content }}",
        "{{ m.content | string }}",
        "{% if m.content is string %}{{ m.content }}{% else %}{{ m.content | tojson }}{% endif %}",
        "{{ m }}",
        "{{ m.content.split('</think>')[-1].split('<think>')[0] }}",
        "{{ raise_exception('no') }}",
        "{{ m.content",
    ],
)
def test_what_only_echoes_or_strips_or_fails_shows_no_thinking(body):
    assert found(turns(body)).to_dict()["thinking"] == "none"


def test_tags_in_the_vocabulary_show_nothing():
    made = tokenizer(turns("{{ m.content }}"), plain=["<think>", "</think>"])
    assert detect("auto", made, "hub/Qwen3-Thinker").state == "none"


CLOSED = TAIL.replace(
    "assistant\n{", "assistant\n{% if not SWITCH %}<think>\n\n</think>\n\n{% endif %}{"
)


@pytest.mark.parametrize(
    ("test", "argument", "value"),
    [
        ("deep", "deep", True),
        ("thinking_mode == 'slow'", "thinking_mode", "slow"),
        ("thinking_budget is defined and thinking_budget > 0", "thinking_budget", 1024),
        ("skip_thinking is defined and skip_thinking is false", "skip_thinking", False),
    ],
)
def test_the_switch_is_found_whatever_it_is_called(test, argument, value):
    body = HUNYUAN.removesuffix(TAIL)
    template = body + CLOSED.replace("SWITCH", f"({test})")
    seen = found(template)
    assert (seen.state, dict(seen.arguments)) == ("off", {argument: value})
    said = json.dumps({argument: value})
    assert f"-M chat_template_kwargs='{said}'" in (seen.advice or "")
    assert found(template, chat_template_kwargs={argument: value}).state == "on"
    assert found(template, chat_template_kwargs=said).state == "on"


def test_a_given_format_is_not_forced_behind_a_closed_block():
    template = turns("{{ m.content }}", CLOSED.replace("SWITCH", "deep"))
    assert found(template, "think_tags").state == "off"
    assert found(template, "think_tags").source == "given"


def test_the_engines_template_and_system_text(tmp_path):
    file = tmp_path / "own.jinja"
    file.write_text(HUNYUAN)
    seen = found(turns("{{ m.content }}"), chat_template=str(file))
    assert seen.format.name == "hunyuan"
    chat, rest = Chat.take({"system": "Be brief.", "dtype": "auto"})
    assert rest == {"dtype": "auto"}
    shown = chat.render(tokenizer(turns("{{ m.content }}")), [{"role": "user", "content": "hi"}])
    assert shown.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nhi")
    own = [{"role": "system", "content": "Task."}, {"role": "user", "content": "hi"}]
    assert chat.messages(own)[0]["content"] == "Be brief.\n\nTask."


@pytest.mark.parametrize(
    "settings",
    [{"chat_template": "/nowhere"}, {"chat_template_kwargs": "{"}, {"system": 3}],
)
def test_a_chat_that_can_not_be_read_is_refused(settings):
    with pytest.raises(UserError, match=next(iter(settings))):
        Chat.take(settings)


def written(reasoning, prompt, plain="{{ m.content }}"):
    """A template that writes a turn with a reasoning, one without, and a generation prompt."""
    return turns(
        "{% if m.reasoning_content %}" + reasoning + "{% else %}" + plain + "{% endif %}",
        "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}" + prompt + "{% endif %}",
    )


MODES = written(
    "<mm>{{ m.reasoning_content }}</mm>{{ m.content }}",
    "<|im_start|>assistant\n{% if mode == 'disabled' %}</mm>{% elif mode == 'enabled' %}<mm>"
    "{% endif %}",
)
LOSES_THE_PROMPT = (
    "{% if effort not in ['high', 'off'] %}{% set effort = 'off' %}{% endif %}"
    "{% if retry == 'again' %}{% set add_generation_prompt = false %}{% endif %}"
    + written(
        "<t>{{ m.reasoning_content }}</t>{{ m.content }}",
        "<|im_start|>assistant\n<t>{% if effort == 'off' %}</t>{% endif %}",
    )
)
OPENS_THE_ANSWER = "{% if thinking is undefined %}{% set thinking = true %}{% endif %}" + written(
    "[open]think[sep]{{ m.reasoning_content }}[close]think[sep][open]response[sep]{{ m.content }}"
    "[close]response[sep]",
    "<|im_start|>assistant\n[open]{{ 'think' if thinking else 'response' }}[sep]",
    "[open]response[sep]{{ m.content }}[close]response[sep]",
)
EMPTY_TURN = (
    "{% set effort = effort if effort is defined else 'high' %}"
    + SOLAR.removesuffix("<|begin|>assistant{% endif %}")
    + "{% if effort in ['low', 'minimal'] %}<|begin|>assistant<|think|><|end|>{% endif %}"
    "<|begin|>assistant{% endif %}"
)


@pytest.mark.parametrize(
    ("template", "state", "opened", "arguments"),
    [
        (MODES, "on", False, {"mode": "enabled"}),
        (LOSES_THE_PROMPT, "off", False, {"effort": "high"}),
        (OPENS_THE_ANSWER, "on", True, {"thinking": True}),
        (EMPTY_TURN, "on", False, {"effort": "high"}),
    ],
)
def test_what_a_value_does_to_the_end_of_the_prompt(template, state, opened, arguments):
    seen = found(template).to_dict()
    assert (seen["thinking"], seen["opened"], seen["arguments"]) == (state, opened, arguments)
    assert found(template, chat_template_kwargs=arguments).state == "on"


@pytest.mark.parametrize(
    ("template", "off"),
    [
        (MODES, {"mode": "disabled"}),
        (OPENS_THE_ANSWER, {"thinking": False}),
        (EMPTY_TURN, {"effort": "low"}),
    ],
)
def test_a_value_that_ends_or_skips_the_thinking_switches_it_off(template, off):
    seen = found(template, chat_template_kwargs=off)
    assert (seen.state, seen.opened) == ("off", False)
    assert seen.format == found(template).format


def test_a_level_that_skips_the_thinking_does_not_get_it_opened_again():
    made = tokenizer(EMPTY_TURN)
    bound = Policy.bind(ScriptedEngine([1], tokenizer=made), "auto", Sampling())
    said = [{"role": "user", "content": "2+2?"}]
    for level, opens in (("high", True), ("low", False)):
        turned = bound.having(effort=level)
        needed = turned.delimiters_for(turned.encode_chat(said))
        assert (bool(needed.start), bool(needed.end)) == (opens, opens)


def test_levels_are_those_that_the_template_tells_apart():
    body = "{% if effort not in ('xhigh', 'medium', 'low') %}{{ raise_exception('?') }}{% endif %}"
    level = "{% set effort = effort | default('xhigh') %}" + body
    strict = level + "{% if effort != 'xhigh' %}Effort: {{ effort }}.{% endif %}" + HUNYUAN
    assert found(strict).levels == ("low", "medium", "xhigh")
    assert found(EMPTY_TURN).levels == ("minimal", "low", "high")
    free = "Strength: {{ reasoning_strength or 'high' }}." + HUNYUAN
    assert found(free).effort == "reasoning_strength"
    assert "high" in found(free).levels


def test_a_reasoning_behind_the_answer_explains_a_call_and_is_no_thinking():
    calls = turns(
        "{{ m.content }}{% if m.thought %}<thinking>{{ m.thought }}</thinking>{% endif %}"
        "{% for c in m.tool_calls or [] %}[{{ c.function.name }}]{% endfor %}"
    )
    asks = "Then give [BEGIN FINAL RESPONSE] ... [END FINAL RESPONSE]." + calls
    seen = found(asks).to_dict()
    assert (seen["source"], seen["start"], seen["stop"], seen["answer_close"]) == (
        "table",
        "",
        ["[BEGIN FINAL RESPONSE]"],
        "[END FINAL RESPONSE]",
    )


@pytest.mark.parametrize(
    ("template", "parts"),
    [
        (
            turns(
                "{% set text = m.content.split('<answer>')[-1].split('</answer>')[0] %}{{ text }}",
                TAIL + "{% if no_think %}<think>\n\n</think>\n{% endif %}",
            ),
            ("<think>\n", ["</think>"], "\n</think>\n<answer>\n", "</answer>"),
        ),
        (
            "{% if deep %}Write your thoughts after 'Here is my thought process:' and your "
            "response after 'Here is my response:'.{% endif %}" + turns("{{ m.content }}"),
            (
                "Here is my thought process:\n\n",
                ["Here is my response:"],
                "\n\nHere is my response:\n\n",
                "",
            ),
        ),
    ],
)
def test_what_the_template_says_in_words_is_read_from_a_table(template, parts):
    seen = found(template).to_dict()
    assert seen["source"] == "table"
    assert (seen["start"], seen["stop"], seen["end"], seen["answer_close"]) == parts
    assert seen["thinking"] == ("off" if "deep" in template else "on")


def test_a_template_that_only_removes_an_end_is_named_as_a_hint():
    seen = found(turns("{{ m.content.split('</think>')[-1] }}"))
    assert seen.state == "none"
    assert "thinking_format=think_tags (the template takes </think> out" in (seen.advice or "")
    for other in ("{{ m.content }}", "{{ m.content + '<|end|>' }}"):
        assert "takes" not in (found(turns(other)).advice or "")


BLOCKS_ONLY = turns(
    "{% for b in m.content %}{% if b.type == 'text' %}{{ b.text }}{% endif %}{% endfor %}"
)


def test_a_template_that_reads_blocks_only_gets_blocks():
    made = tokenizer(BLOCKS_ONLY)
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}]
    text = made.decode(Chat().encode(made, said, "m"))
    assert "Be brief." in text
    assert "2+2?" in text


def test_a_message_that_the_template_leaves_out_is_refused():
    made = tokenizer("{% for m in messages if m.role != 'system' %}[{{ m.content }}]{% endfor %}")
    asked = [{"role": "user", "content": "hi"}]
    assert made.decode(Chat().encode(made, asked, "m")) == "[hi]"
    with pytest.raises(UserError, match=r"leaves the system message out.*Be brief"):
        Chat(system="Be brief.").encode(made, asked, "m")
    switch = tokenizer(
        "{% for m in messages %}{% if m.role == 'system' %}{% set ns = 1 %}[off]"
        "{% else %}{{ m.content }}{% endif %}{% endfor %}"
    )
    assert switch.decode(Chat(system="/no_think").encode(switch, asked, "m")) == "[off]hi"


def test_several_templates_without_a_default_are_none():
    made = tokenizer(None)
    made.chat_template = {"tool_use": HUNYUAN, "rag": HUNYUAN}
    assert detect("auto", made, "m").state == "none"
    with pytest.raises(UserError, match="chat_template=FILE"):
        Chat().encode(made, [{"role": "user", "content": "hi"}], "m")
    made.chat_template["default"] = HUNYUAN
    assert detect("auto", made, "m").format.name == "hunyuan"
