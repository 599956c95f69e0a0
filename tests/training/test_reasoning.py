"""Reasoning data as training text: the ids are those that evaluation feeds the model, loss is on
thinking and answer alone, and data that doesn't fit is named."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from s1_eval.answers import grader
from s1_eval.engines import Generation, Sampling
from s1_eval.errors import UserError
from s1_eval.methods import Policy, Question
from s1_eval.methods.budget_forcing import budget_forcing
from s1_eval.methods.chain import BudgetForcing
from s1_eval.methods.step_conditional import StepConditional, step_conditional
from s1_eval.methods.token_conditional import TokenConditional, token_conditional
from s1_eval.thinking import bind
from s1_eval.training.examples import (
    IGNORED,
    Example,
    Span,
    fitted,
    learned_text,
    refuse_pad,
    tokenize,
)
from s1_eval.training.reasoning import Reasoning, bucket, transcript

QUESTION = "Find the number of positive integers less than 1000 that are divisible by 5."
THINKING = "First, we count the multiples of 5.\n\nThere are 199.\n\nWait, let me check that again."
ROW = {"question": QUESTION, "thinking": THINKING, "attempt": "The answer is \\boxed{199}."}


def policy(tokenizer: Any, thinking_format: str = "s1", engine: Any = None) -> Policy:
    engine = engine or SimpleNamespace(tokenizer=tokenizer, info=SimpleNamespace(model="x"))
    return Policy(engine, bind(thinking_format, tokenizer, "x"), Sampling())


def rendered(tokenizer: Any, row: dict[str, Any] = ROW, **settings: Any) -> dict[str, list[int]]:
    [example] = Reasoning("data", **settings).render([row], tokenizer, "x")
    return tokenize(example, tokenizer)


def question(text: str = QUESTION) -> Question:
    return Question("0", text, grader("math"))


def test_the_ids_are_those_that_evaluation_feeds_the_model(qwen):
    asked = policy(qwen)
    encode = lambda text: tuple(qwen.encode(text, add_special_tokens=False))  # noqa: E731
    expected = (
        *asked.prompt_ids(question()),
        *asked.delimiters.start,
        *encode(f"\n{THINKING}\n"),
        *asked.delimiters.end,
        *encode(f"\n{ROW['attempt']}"),
        qwen.eos_token_id,
    )
    assert tuple(rendered(qwen)["input_ids"]) == expected
    assert "You are Qwen" in qwen.decode(expected), "the default system prompt is part of it"


def test_think_tags_are_written_as_deepseek_r1_writes_them(qwen):
    row = rendered(qwen, thinking_format="think_tags")
    asked = policy(qwen, "think_tags")
    prompt = asked.prompt_ids(question())
    assert tuple(row["input_ids"][: len(prompt)]) == prompt
    assert qwen.decode(row["input_ids"][len(prompt) :]) == (
        f"<think>\n{THINKING}\n</think>\n\n{ROW['attempt']}<|im_end|>"
    )
    start = asked.delimiters.start
    assert len(start) > 1, "a delimiter of several tokens, encoded as evaluation forces it"
    assert tuple(row["input_ids"][len(prompt) :][: len(start)]) == start


def test_loss_is_on_all_after_the_generation_prompt_and_on_nothing_before(qwen):
    row = rendered(qwen)
    silent, learned = learned_text(row, qwen)
    assert silent[1] is False
    assert silent[0].endswith("<|im_start|>assistant\n")
    assert learned == (
        f"<|im_start|>think\n{THINKING}\n<|im_start|>answer\n{ROW['attempt']}<|im_end|>",
        True,
    )
    assert all(label in (IGNORED, id) for id, label in zip(*row.values(), strict=True))


def test_a_span_without_loss_keeps_it_from_every_token_that_reaches_into_it(qwen):
    spans = (Span("There are"), Span(" 199", learn=False), Span(". Wait"))
    row = tokenize(Example("x", spans), qwen)
    silent, *parts = learned_text(row, qwen)
    assert silent[1] is False
    assert parts == [("There are", True), (" 199", False), (". Wait", True)]


@pytest.mark.parametrize(
    ("attempt", "written"), [("7", "Answer: 7"), ("So.\nAnswer: 7", "So.\nAnswer: 7")]
)
def test_answer_is_put_before_an_answer_that_does_not_say_it(qwen, attempt, written):
    row = rendered(qwen, ROW | {"attempt": attempt}, answer_prefix="Answer: ")
    assert qwen.decode(row["input_ids"]).endswith(f"<|im_start|>answer\n{written}<|im_end|>")


def test_a_list_of_one_trace_is_that_trace(qwen):
    assert rendered(qwen, ROW | {"thinking": [THINKING]}) == rendered(qwen)


def test_buckets_are_powers_of_two():
    assert [bucket(n) for n in (1, 2, 3, 4, 5, 64, 65)] == [1, 2, 4, 4, 8, 64, 128]


class Thinker:
    """An engine that thinks what is given, up to the cap, and stops where it is to answer."""

    def __init__(self, tokenizer: Any, thinking: Sequence[int]) -> None:
        self.tokenizer, self.left = tokenizer, tuple(thinking)
        self.info = SimpleNamespace(
            model="x", context_length=4096, eos_ids=frozenset({tokenizer.eos_token_id})
        )

    async def generate(self, prompt: Any, *, max_tokens: int, **_: Any) -> Generation:
        if not self.left:
            raise Prompted(tuple(prompt))
        written, self.left = self.left[:max_tokens], ()
        return Generation(written)


@pytest.mark.parametrize("thinking_format", ["s1", "think_tags"])
@pytest.mark.parametrize("cut", [1, 9, 10, 14])
def test_cut_thinking_is_answered_from_what_budget_forcing_writes(qwen, thinking_format, cut):
    source = Reasoning("data", thinking_format=thinking_format, cuts=(cut, 4000))
    whole, short = source.render([ROW], qwen, "x")
    assert tokenize(whole, qwen) == rendered(qwen, thinking_format=thinking_format)
    row = tokenize(short, qwen)
    asked = policy(qwen, thinking_format)
    written = qwen.encode(transcript(THINKING, "", asked.delimiters, "")[1].text)
    engine = Thinker(qwen, written)
    with pytest.raises(Prompted) as caught:
        asyncio.run(
            budget_forcing(
                policy(qwen, thinking_format, engine),
                question(),
                BudgetForcing(max_thinking_tokens=cut),
            )
        )
    [prompt] = caught.value.args
    assert tuple(row["input_ids"][: len(prompt)]) == prompt
    silent, learned = learned_text(row, qwen)
    assert silent[1] is False
    assert silent[0] == qwen.decode(prompt)
    assert learned == (f" {ROW['attempt']}<|im_end|>", True)


def test_a_cut_within_a_letter_is_moved_before_it(qwen):
    text = "a𓀀𓀁"  # letters of several tokens each
    source = Reasoning("data", thinking_format="think_tags", cuts=tuple(range(1, 9)))
    _, *short = source.render([ROW | {"thinking": text}], qwen, "x")
    for example in short:
        written = "".join(span.text for span in example.completion)
        kept, end, _ = written.removeprefix("<think>\n").partition("\n</think>")
        assert end
        assert text.startswith(kept)


def test_the_answer_of_cut_thinking_may_stand_in_a_column_of_its_own(qwen):
    source = Reasoning("data", cuts=(3,), cut_answer="target")
    _, short = source.render([ROW | {"target": "199"}], qwen, "x")
    assert qwen.decode(tokenize(short, qwen)["input_ids"]).endswith(
        "<|im_start|>answer\nFinal Answer: 199<|im_end|>"
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cuts": (9,), "condition": "tokens"}, "one of cuts, condition"),
        ({"cut_answer": "x"}, "give cuts"),
        ({"cuts": (0,)}, "cuts"),
    ],
)
def test_cuts_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(UserError, match=said):
        Reasoning("data", **settings)


class Recorder:
    """An engine that takes the prompt and stops there."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.info = SimpleNamespace(model="x", context_length=4096, eos_ids=frozenset())

    async def generate(self, prompt: Any, **_: Any) -> Any:
        raise Prompted(tuple(prompt))


class Prompted(Exception):
    pass


def prompted(tokenizer: Any, method: Any, params: Any) -> tuple[int, ...]:
    with pytest.raises(Prompted) as caught:
        asyncio.run(method(policy(tokenizer, engine=Recorder(tokenizer)), question(), params))
    ids: tuple[int, ...] = caught.value.args[0]
    return ids


def test_token_conditional_data_names_the_bucket_as_the_method_does(qwen):
    row = rendered(qwen, condition="tokens")
    used = len(qwen.encode(f"\n{THINKING}\n", add_special_tokens=False))
    prompt = prompted(qwen, token_conditional, TokenConditional(tokens=bucket(used)))
    assert tuple(row["input_ids"][: len(prompt)]) == prompt
    assert bucket(used) // 2 < used <= bucket(used)


def test_step_conditional_data_counts_down_as_the_method_expects(qwen):
    row = rendered(qwen, condition="steps")
    prompt = prompted(qwen, step_conditional, StepConditional(steps=4))
    assert tuple(row["input_ids"][: len(prompt)]) == prompt
    assert qwen.decode(row["input_ids"][len(prompt) :]) == (
        "\n<|im_start|>4 steps left\nFirst, we count the multiples of 5."
        "\n<|im_start|>3 steps left\nThere are 199."
        "\n<|im_start|>2 steps left\nWait, let me check that again."
        f"\n<|im_start|>answer\n{ROW['attempt']}<|im_end|>"
    )


def test_an_example_longer_than_the_block_is_counted_and_refused_unless_cuts_are_allowed(qwen):
    rows = [rendered(qwen), rendered(qwen, ROW | {"thinking": THINKING * 9})]
    block = len(rows[0]["input_ids"])
    with pytest.raises(UserError, match=r"1 of 2 examples are longer .*\(the longest has \d+"):
        fitted(rows, block, truncate=False)
    cut, count = fitted(rows, block, truncate=True)
    assert count == 1
    assert cut[0] == rows[0]
    assert cut[1]["input_ids"] == rows[1]["input_ids"][:block]


def test_an_example_whose_prompt_fills_the_block_is_refused(qwen):
    with pytest.raises(UserError, match="example 0 carries no loss at all"):
        fitted([rendered(qwen)], 10, truncate=True)


def test_a_pad_token_that_occurs_in_the_data_is_refused(qwen):
    rows = [rendered(qwen), rendered(qwen, ROW | {"thinking": "a <|fim_pad|> b"})]
    pad = qwen.convert_tokens_to_ids("<|fim_pad|>")
    refuse_pad(rows[:1], pad, "<|fim_pad|>")
    with pytest.raises(UserError, match=r"'<\|fim_pad\|>' occurs in 1 examples, .* example 1"):
        refuse_pad(rows, pad, "<|fim_pad|>")
    with pytest.raises(UserError, match=r"no pad token: name one .* model\.pad_token"):
        refuse_pad(rows, None, None)


def test_a_tokenizer_without_the_delimiters_is_refused():
    from transformers import Qwen2Tokenizer

    plain = Qwen2Tokenizer().train_new_from_iterator(["a b"], 300, show_progress=False)
    plain.chat_template = "{{ messages[0].content }}"
    with pytest.raises(UserError, match=r"has no token <\|im_start\|>: give .*think_tags"):
        list(Reasoning("data").render([ROW], plain, "x"))


def test_a_chat_template_that_leaves_the_question_out_is_refused(qwen):
    import copy

    deaf = copy.deepcopy(qwen)
    deaf.chat_template = "{{ '<|im_start|>assistant\n' }}"
    with pytest.raises(UserError, match="leaves the user message out"):
        rendered(deaf)


def saved(tmp_path: Path, *rows: dict[str, Any]) -> str:
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_a_file_is_read(tmp_path, qwen):
    source = Reasoning(saved(tmp_path, ROW, ROW), examples=2)
    assert len(list(source.render(source.rows(), qwen, "x"))) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"thinking": "trace"}, "has no column 'trace': name the one that holds the thinking"),
        ({"examples": 3}, "has 1 examples, the recipe says 3"),
    ],
)
def test_data_that_is_not_what_the_recipe_says_is_refused(tmp_path, settings, message):
    with pytest.raises(UserError, match=message):
        Reasoning(saved(tmp_path, ROW), **settings).rows()


def test_a_row_without_text_is_named(tmp_path, qwen):
    source = Reasoning(saved(tmp_path, ROW, ROW | {"attempt": None}))
    with pytest.raises(UserError, match="row 1, column attempt holds None"):
        list(source.render(source.rows(), qwen, "x"))


def test_data_that_is_not_there_is_one_message(tmp_path):
    (tmp_path / "data.txt").write_text("x")
    with pytest.raises(UserError, match=r"can.t read .*data\.txt: give \.jsonl"):
        Reasoning(str(tmp_path / "data.txt")).rows()
    (tmp_path / "data.jsonl").write_text("{")
    with pytest.raises(UserError, match="can't be loaded"):
        Reasoning(str(tmp_path / "data.jsonl")).rows()


def test_the_published_questions_make_training_rows(shared_data, qwen):
    questions = json.loads((shared_data / "sft" / "s1K_questions_solutions.json").read_text())
    rows = [
        {"question": row["problem"], "thinking": row["solution"], "attempt": row["solution"]}
        for row in questions[:50]
        if row["solution"].strip()
    ]
    made = [tokenize(e, qwen) for e in Reasoning("s1K").render(rows, qwen, "x")]
    asked = policy(qwen)
    for row, ids in zip(rows, made, strict=True):
        prompt = asked.prompt_ids(question(row["question"].strip()))
        learned = [label for label in ids["labels"] if label != IGNORED]
        assert ids["input_ids"] == [*prompt, *learned]
