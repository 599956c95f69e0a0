"""Inspect logs of other tasks become records: reasoning that stands apart or in think tags, the
provider's token counts, the scorer's verdict."""

import pytest

from s1_eval.errors import UserError
from s1_eval.records import read_runs
from s1_eval.records.foreign import Told, parse_columns, readers


def read(path, *columns, **told):
    return read_runs([path], readers(Told(columns=parse_columns(columns), **told)))


def output(content, reasoning_tokens=None, stop="stop"):
    from inspect_ai.model import ChatCompletionChoice, ChatMessageAssistant, ModelOutput, ModelUsage

    message = ChatMessageAssistant(content=content)
    choice = ChatCompletionChoice(message=message, stop_reason=stop)
    made = ModelOutput(model="mockllm/model", choices=[choice])
    used = 3 + (reasoning_tokens or 0)
    made.usage = ModelUsage(
        output_tokens=used,
        reasoning_tokens=reasoning_tokens,
        input_tokens=20,
        input_tokens_cache_read=8,
    )
    return made


def reasoned(thinking, text, tokens, stop="stop"):
    from inspect_ai.model import ContentReasoning, ContentText

    return output([ContentReasoning(reasoning=thinking), ContentText(text=text)], tokens, stop)


def write_log(folder, outputs, **config):
    """A log of a task of somebody else."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.model import get_model
    from inspect_ai.scorer import match

    [log] = eval(
        Task(
            name="sums",
            dataset=[Sample(id=i, input="6+1?", target="7") for i in range(len(outputs))],
            scorer=match(),
        ),
        model=get_model("mockllm/model", custom_outputs=outputs),
        log_dir=str(folder),
        display="none",
        max_samples=1,
        **config,
    )
    assert log.status == "success"
    return folder


def test_a_providers_reasoning_and_budget_are_found(tmp_path):
    outputs = [
        reasoned("hm", "7", 12),
        reasoned("hm", "9", 25),
        reasoned("hm", "", 20, "max_tokens"),
    ]
    [run] = read(write_log(tmp_path, outputs, reasoning_tokens=20))
    assert (run.model, run.task, run.method, run.budget) == (
        "mockllm/model",
        "sums",
        "token_conditional",
        20,
    )
    rows = sorted(run.rows, key=lambda row: row["sample_id"])
    assert [row["thinking_tokens"] for row in rows] == [12, 25, 20]
    assert [row["generated_tokens"] for row in rows] == [15, 28, 23]
    assert {(row["prompt_tokens"], row["cached_tokens"]) for row in rows} == {(28, 8)}
    assert {*run.params} == {"tokens"}
    assert [row["correct"] for row in rows] == [True, False, False]
    assert [row["answered"] for row in rows] == [True, True, False]
    assert [row["exit_reason"] for row in rows] == ["unknown", "unknown", "budget"]


def test_the_stop_reason_says_whether_the_answer_was_cut(tmp_path):
    outputs = [
        reasoned("hm", "7", 12, "max_tokens"),
        reasoned("hm", "7", 12),
        reasoned("hm", "", 9),
    ]
    [run] = read(write_log(tmp_path, outputs))
    rows = sorted(run.rows, key=lambda row: row["sample_id"])
    assert [row.get("answer_exit") for row in rows] == ["budget", "eos", None]
    assert [row["exit_reason"] for row in rows] == ["natural", "natural", "unknown"]


def test_a_stop_reason_tells_why_thinking_was_cut(tmp_path):
    outputs = [output(text, None, "model_length") for text in ("<think>a b", "<think>a</think>7")]
    [run] = read(write_log(tmp_path, outputs), count=lambda text: len(text.split()))
    rows = sorted(run.rows, key=lambda row: row["sample_id"])
    assert [row["exit_reason"] for row in rows] == ["context", "natural"]
    assert [row.get("answer_exit") for row in rows] == [None, "context"]


def test_an_effort_is_class_conditional_control(tmp_path):
    [run] = read(write_log(tmp_path, [reasoned("hm", "7", 12)], reasoning_effort="low"))
    assert (run.method, run.params) == ("class_conditional", {"length": "short"})


def test_thinking_without_a_count_asks_for_the_tokenizer(tmp_path):
    folder = write_log(tmp_path, [output("<think>so it is</think>7")])
    with pytest.raises(UserError, match="does not say thinking_tokens: add --tokenizer MODEL"):
        read(folder)
    [run] = read(folder, count=lambda text: len(text.split()))
    assert (run.rows[0]["thinking_tokens"], run.rows[0]["answer_tokens"]) == (3, 1)


def test_columns_and_regrading_say_what_a_log_does_not(tmp_path):
    folder = write_log(tmp_path, [reasoned("hm", "eight", 12)])
    columns = ["task==other", "target=input"]
    [run] = read(folder, *columns, grade=lambda text, gold, cut: (gold == "6+1?", True, text))
    assert (run.task, run.rows[0]["correct"], run.rows[0]["answer"]) == ("other", True, "eight")


def test_a_row_has_the_question_of_its_log(tmp_path):
    reader = readers(Told())
    path = next(write_log(tmp_path, [reasoned("hm", "7", 12)]).glob("*.eval"))
    [located] = next(each for each in reader if each.sniff(path)).read(path)
    assert located.row["question"] == "6+1?"
