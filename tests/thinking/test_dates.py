"""A chat template that prints the date prints the run's, tomorrow too."""

from __future__ import annotations

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from s1_eval.errors import UserError
from s1_eval.thinking import dates

PRINT = ("apertus", "gpt-oss", "granite-3.3", "llama-3.2-instruct", "mistral-small-3.2")
DO_NOT = ("qwen3", "nemotron-super-v1", "qwq-32b", "smollm3")


def render(template: str) -> str:
    tokens = {"bos_token": "<s>", "eos_token": "</s>"}
    asked = [[{"role": "user", "content": "?"}]]
    return render_jinja_template(asked, chat_template=template, **tokens)[0][0]


@pytest.mark.parametrize("name", PRINT)
def test_a_printed_date_is_pinned_and_shown(shared_data, name) -> None:
    template = (shared_data / "templates" / f"{name}.jinja").read_text("utf-8")
    assert dates.pinned(template, render, "2031-07-09") == "2031-07-09"
    today = dates.pinned(template, render)
    assert today is not None
    assert render(dates.at(template, today)) == render(template), "nothing else changes"
    assert "2031" in render(dates.at(template, "2031-07-09"))
    assert render(dates.at(template, "2031-07-09")) != render(dates.at(template, "2031-07-10"))


@pytest.mark.parametrize("name", DO_NOT)
def test_a_template_without_a_date_has_none(shared_data, name) -> None:
    template = (shared_data / "templates" / f"{name}.jinja").read_text("utf-8")
    assert dates.pinned(template, render, "2031-07-09") is None


def test_a_date_is_a_date() -> None:
    with pytest.raises(UserError, match="YYYY-MM-DD"):
        dates.at("{{ 1 }}", "tomorrow")


def test_a_policy_prints_its_date() -> None:
    from scripted import ScriptedEngine

    from s1_eval.methods import Policy

    engine = ScriptedEngine("", cyclic=True)
    template = (
        engine.tokenizer.chat_template
        + "{% if strftime_now is defined %}{{ strftime_now('%Y-%m-%d') }}{% endif %}"
    )
    engine.tokenizer.chat_template, before = template, engine.tokenizer.chat_template
    try:
        policy = Policy.bind(engine).dated("2031-07-09")
        text = policy.decode(policy.encode_chat([{"role": "user", "content": "?"}]))
        assert text.endswith("2031-07-09")
        assert policy.prompting()["template_date"] == "2031-07-09"
    finally:
        engine.tokenizer.chat_template = before
