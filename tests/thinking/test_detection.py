"""How the format is found in templates of other shapes than the public ones."""

from __future__ import annotations

import json

import pytest
from families import tokenizer

from s1_eval.errors import UserError
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
