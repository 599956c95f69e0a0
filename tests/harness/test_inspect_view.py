"""What Inspect shows of our runs: a column for each measure, tags, questions as they are written,
why an answer got its score, usage that adds up, and the record as columns of a data frame."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import Task, eval, task
from inspect_ai.analysis import SampleSummary, samples_df
from inspect_ai.log import EvalLog, read_eval_log
from inspect_ai.solver import Generate, Solver, TaskState, generate, self_critique, solver
from markdown_it import MarkdownIt
from scripted import ScriptedEngine

from s1_eval.evaluation.benchmark import Benchmark
from s1_eval.evaluation.benchmark import Sample as OurSample
from s1_eval.harness.inspect_frames import RECORD
from s1_eval.harness.inspect_models import own_segments
from s1_eval.harness.inspect_tasks import inspect_task
from s1_eval.harness.inspect_view import MEASURES, as_written, explanation, score_name
from s1_eval.records import read_runs
from s1_eval.records.readers import KEY
from s1_eval.solvers import beam_search, budget_forcing, majority_vote, plain
from s1_eval.tasks.nano import nano
from s1_eval.thinking import Segment, Trace

RIGHT = "\nFirst line.\n<|im_start|>answer\nFinal Answer: 7<|im_end|>"
QUESTIONS = ("Compute.\nS=3\nA*5\nB*6*7", "Compute.\nS=1", "Find $x^2$.")
BENCH = Benchmark(
    "bench",
    sample=lambda row: OurSample(row["id"], row["q"], "7"),
    grader="integer",
    generate=lambda: [{"id": str(i), "q": q} for i, q in enumerate(QUESTIONS)],
)


@task
def bench() -> Task:
    return inspect_task(BENCH)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, EvalLog]:
    """Nano at two caps, a vote and a search, in one folder."""
    folder = tmp_path_factory.mktemp("logs")
    quiet = {"display": "none", "log_realtime": False, "log_dir": str(folder), "limit": 3}
    solvers = {
        "short": budget_forcing(max_thinking_tokens=16),
        "long": budget_forcing(max_thinking_tokens=128, num_ignores=1),
        "vote": majority_vote(samples=4),
        "search": beam_search(samples=4, verifier="nano-prm"),
    }
    made = {}
    for name, chosen in solvers.items():
        sampled = {"temperature": 1.0, "seed": 0} if name in ("vote", "search") else {}
        [made[name]] = eval(nano(), solver=chosen, model="s1_hf/nano", **quiet, **sampled)
        assert made[name].status == "success"
    return made


def rows(log: EvalLog) -> list[dict[str, Any]]:
    return [sample.scores["s1_eval/grade"].metadata[KEY] for sample in log.samples]


def test_every_measure_is_a_score_and_a_column(logs: dict[str, EvalLog]) -> None:
    for log in logs.values():
        columns = [column.id for column in log.eval.viewer.task_samples_view.columns]
        for measure in MEASURES:
            assert f"score__{score_name(measure)}__{score_name(measure)}" in columns
            for sample, row in zip(log.samples, rows(log), strict=True):
                score = sample.scores.get(score_name(measure))
                assert (score and score.value) == row[measure]
    means = {score.name: score.metrics for score in logs["short"].results.scores}
    thought = [row["thinking_tokens"] for row in rows(logs["short"])]
    assert means["s1_eval/thinking_tokens"]["mean"].value == sum(thought) / 3
    assert means["s1_eval/exit_reason"]["budget"].value == 1
    assert logs["short"].results.scores[0].name == "s1_eval/grade"  # the one in the list of logs


def test_runs_at_different_caps_have_different_tags(logs: dict[str, EvalLog]) -> None:
    for log, tags in (
        (logs["short"], ["16 max_thinking_tokens", "budget_forcing"]),
        (logs["long"], ["1 num_ignores", "128 max_thinking_tokens", "budget_forcing"]),
        (logs["search"], ["4 samples", "beam_search", "verifier=nano-prm"]),
    ):
        assert log.tags == read_eval_log(log.location, header_only=True).tags == tags
        assert len(read_eval_log(log.location).samples) == 3
    assert len(read_runs([Path(logs["short"].location).parent])) == 4


def test_a_tagged_log_in_json_keeps_its_samples(run_inspect: Any, scripted: Any) -> None:
    scripted(RIGHT)
    log = run_inspect(bench(), solver=plain(), model="s1_hf/any", log_format="json")
    read = read_eval_log(log.location)
    assert (read.tags, len(read.samples)) == (["plain"], 3)


def test_a_log_of_anybody_elses_solver_gets_no_tags(run_inspect: Any, scripted: Any) -> None:
    scripted(RIGHT)
    assert run_inspect(bench(), solver=generate(), model="s1_hf/any", limit=1).tags == []
    assert run_inspect(bench(), model="s1_hf/any", limit=1).tags == ["plain"]


def test_questions_are_fenced_where_markdown_would_change_them_and_no_model_sees_it(
    run_inspect: Any, scripted: Any
) -> None:
    engine = scripted(RIGHT)
    log = run_inspect(bench(), solver=plain(), model="s1_hf/any")
    fences = [f"```text\n{QUESTIONS[0]}\n```", f"```text\n{QUESTIONS[1]}\n```", QUESTIONS[2]]
    for sample, shown in zip(log.samples, fences, strict=True):
        [event] = [each for each in sample.events if each.event == "model"]
        assert sample.input == sample.messages[0].text == event.input[0].text == shown
    [run] = read_runs([log.location])
    assert [row["sample_id"] for row in run.rows] == ["0", "1", "2"]
    asked = [engine.tokenizer.decode(call.prompt) for call in engine.calls]
    assert all(any(question in prompt for prompt in asked) for question in QUESTIONS)
    assert not any("```" in prompt for prompt in asked)
    assert all("around" not in row["run"]["prompting"] for row in rows(log))


def test_other_peoples_solvers_see_the_question_itself(run_inspect: Any, scripted: Any) -> None:
    engine: ScriptedEngine = scripted(RIGHT)
    seen: list[str] = []

    @solver
    def look() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            seen.append(state.input_text)
            return state

        return solve

    critic = self_critique(model="s1_hf/any")
    log = run_inspect(bench(), solver=[look(), generate(), critic], model="s1_hf/any")
    assert [sample.messages[0].text for sample in log.samples] == list(QUESTIONS)
    assert sorted(seen) == sorted(QUESTIONS)
    assert len(engine.calls) >= 6
    assert not any("```" in engine.tokenizer.decode(call.prompt) for call in engine.calls)


@pytest.mark.parametrize(
    "text",
    [
        *("A*5\nB*6*7", "_a_ and __b__", "1. one\n2. two", "- a\n- b", "# Title", "> said"),
        *("a  \nb", "    code", "&amp;", "<b>x</b>", "[a](http://b)", "| a |\n| - |", "~~x~~"),
        *(
            "`x`",
            "```\nx\n```",
            "a\n---",
            "\\*",
            "![x](y)",
            "x" * 10 + "\n\n    y",
        ),
    ],
)
def test_whatever_markdown_would_change_is_shown_as_it_is(text: str) -> None:
    [shown] = as_written([text])
    [token] = MarkdownIt("commonmark").parse(shown)
    assert (token.type, token.content) == ("fence", f"{text}\n")


@pytest.mark.parametrize(
    "text",
    ["What is 2+3?", "Let $a_1*a_2$ be\nso.\n\nFind \\[x*y*z\\].", "snake_case_name", "é 3 < 4"],
)
def test_what_markdown_leaves_alone_is_left_alone(text: str) -> None:
    assert as_written([text]) == [text]


def test_an_explanation_marks_what_was_forced_and_lists_the_votes(logs: dict[str, EvalLog]) -> None:
    for name, log in logs.items():
        for sample, row in zip(log.samples, rows(log), strict=True):
            said = sample.scores["s1_eval/grade"].explanation
            verdict = "Right" if row["correct"] else "Wrong" if row["answered"] else "No answer"
            assert said.startswith(f"**{verdict}**")
            assert ("Votes:" in said) == (name in ("vote", "search"))
            shown = re.search("```text\n(.*)\n```$", said, re.DOTALL)[1]
            assert shown.count("⟦Wait") == row["num_ignores_used"] * (name == "long")
            assert shown.startswith("⟦<|im_start|>think⟧\n")
    votes = re.findall(r"^- (\d) of 4: ", explanation(rows(logs["vote"])[0]), re.MULTILINE)
    assert sum(map(int, votes)) == 4
    assert votes == sorted(votes, reverse=True)


def test_an_explanation_is_markdown_whatever_a_model_writes(logs: dict[str, EvalLog]) -> None:
    evil = "```\n<img src=x onerror=alert(1)>\n[a](javascript:b) **x** | \x1b[2J"
    row = json.loads(json.dumps(rows(logs["vote"])[0]))
    row |= {"answer": evil, "rule": evil, "sample_answers": [evil] * 4, "response": evil}
    for trace in row["traces"]:
        for segment in trace["segments"]:
            segment["text"] = evil
    said = explanation(row)
    assert "\x1b" not in said
    kinds = set()
    for token in MarkdownIt("commonmark").parse(said):
        kinds |= {token.type, *(child.type for child in token.children or ())}
    assert not {"html_block", "html_inline", "image", "link_open", "em_open"} & kinds


def test_a_long_chain_is_shown_by_its_ends(logs: dict[str, EvalLog]) -> None:
    row = json.loads(json.dumps(rows(logs["short"])[0]))
    row["traces"][0]["segments"][1]["text"] = "x" * 100_000
    said = explanation(row)
    assert len(said) < 3000
    assert "… 99,400 characters …" in said


def test_an_answer_that_no_method_of_ours_gave_is_explained_by_its_rule() -> None:
    said = explanation({"correct": False, "answered": False, "answer": "", "rule": "no answer"})
    assert said == "**No answer**, by the rule `no answer`"


def test_usage_adds_up(logs: dict[str, EvalLog]) -> None:
    for log in logs.values():
        for sample, row in zip(log.samples, rows(log), strict=True):
            [usage] = sample.model_usage.values()
            assert usage.output_tokens == row["generated_tokens"]
            assert 0 < usage.reasoning_tokens <= usage.output_tokens
            assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    forks = [trace for row in rows(logs["search"]) for trace in row["traces"] if trace["shared"]]
    assert forks


def test_what_a_fork_shares_is_its_trunks() -> None:
    trunk = (
        Segment("delimiter", "forced", (1, 2)),
        Segment("thinking", "sampled", (3, 4)),
        Segment("thinking", "forced", (5,)),
    )
    own = (Segment("delimiter", "forced", (9,)), Segment("answer", "sampled", (10,)))
    fork = Trace(
        (0,), (*trunk, Segment("thinking", "sampled", (6, 7, 8)), *own), "natural", shared=3
    )
    assert [segment.ids for segment in own_segments(fork) if segment.ids] == [(7, 8), (9,), (10,)]


def test_no_copy_of_the_record_contradicts_it(logs: dict[str, EvalLog]) -> None:
    def verdicts(value: Any) -> Any:
        if isinstance(value, dict):
            yield from (value["correct"] for _ in "x" if "correct" in value)
            value = value.values()
        elif not isinstance(value, list):
            return
        for each in value:
            yield from verdicts(each)

    for log in logs.values():
        for sample, row in zip(log.samples, rows(log), strict=True):
            assert set(verdicts(sample.model_dump(mode="json"))) == {row["correct"]}


def test_a_data_frame_has_the_fields_of_the_record_as_columns(logs: dict[str, EvalLog]) -> None:
    folder = str(Path(logs["short"].location).parent)
    frame = samples_df(folder, quiet=True)
    wanted = sorted(row["thinking_tokens"] for log in logs.values() for row in rows(log))
    assert sorted(frame["score_s1_eval/thinking_tokens"]) == wanted
    assert set(frame["score_s1_eval/exit_reason"]) <= {"natural", "budget", "eos", "context"}
    whole = samples_df(folder, columns=[*SampleSummary, RECORD], quiet=True)
    assert len(whole) == len(frame) == 12
    assert sorted(whole["thinking_tokens"]) == wanted
    assert {"method", "budget", "exit_reason", "correct", "generated_tokens"} <= set(whole.columns)
