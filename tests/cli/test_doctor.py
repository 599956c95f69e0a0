"""`s1-eval doctor` on folders as they lie on the Hub."""

from __future__ import annotations

import json

import pytest
from families import DATA, families, template, tokenizer

from s1_eval.cli.main import main

QWEN3 = "qwen3"
pytestmark = pytest.mark.skipif(not families(), reason="needs ../shared/data/templates")


def folder(path, jinja=None, listed=None):
    """A model's folder without weights; listed: the template as tokenizer_config.json has it."""
    made = tokenizer(jinja, **families()[QWEN3])
    made.save_pretrained(path)
    (path / "config.json").write_text(json.dumps({"model_type": "qwen2"}))
    own = path / "tokenizer_config.json"
    own.write_text(json.dumps(json.loads(own.read_text()) | {"chat_template": listed}))
    return path


@pytest.fixture
def doctor(capsys):
    """`s1-eval doctor --json` on a folder: (what it found, what it said)."""

    def ask(path):
        assert main(["doctor", "--json", "--model", f"s1_hf/{path}"]) == 0
        done = capsys.readouterr()
        return json.loads(done.out), done.err

    return ask


TOOLS = "{{ raise_exception('give tools') }}"
NAMED = [{"name": "tool_use", "template": TOOLS}]


def layouts(path):
    """Every place in which a folder may have its template."""
    text = template(QWEN3)
    yield folder(path / "jinja", text)
    yield folder(path / "config", listed=text)
    yield folder(path / "listed", listed=[*NAMED, {"name": "default", "template": text}])
    processor = folder(path / "processor")
    (processor / "chat_template.json").write_text(json.dumps({"chat_template": text}))
    yield processor
    more = folder(path / "more", text)
    (more / "additional_chat_templates").mkdir()
    (more / "additional_chat_templates" / "tool_use.jinja").write_text(TOOLS)
    yield more
    bare = folder(path / "tokenizer alone", text)
    (bare / "config.json").unlink()
    yield bare


def test_the_template_is_found_wherever_it_lies(tmp_path, doctor):
    for path in layouts(tmp_path):
        found, said = doctor(path)
        assert (found["thinking"], found["start"], found["end"]) == (
            "on",
            "<think>\n",
            "\n</think>\n\n",
        ), path.name
        assert "chat template" not in said


def test_what_can_not_be_asked_is_said_and_no_failure(tmp_path, doctor):
    for path, words in (
        (folder(tmp_path / "base"), "has no chat template"),
        (folder(tmp_path / "tools", listed=NAMED), "has no chat template"),
        (folder(tmp_path / "fails", TOOLS), "refuses the conversation (user): give tools"),
    ):
        found, said = doctor(path)
        assert found["thinking"] == "none"
        assert words in said
        assert "-M chat_template=FILE" in said


@pytest.mark.parametrize("kind", ["llama", "deepseek_v3"])
def test_a_byte_level_vocabulary_keeps_its_spaces_whatever_class_is_named(tmp_path, kind):
    real = DATA / "tokenizers" / "deepseek_v3"
    if not real.is_dir():
        pytest.skip("needs ../shared/data/tokenizers")
    from s1_eval.engines.checkpoints import load_tokenizer

    for file in real.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    loaded = load_tokenizer(str(tmp_path))
    ids = loaded.encode("two words\nand 1 line", add_special_tokens=False)
    assert loaded.decode(ids) == "two words\nand 1 line"
    assert loaded.chat_template
