"""Every benchmark on rows laid out as the hub's, invented: prompts as their authors give them,
targets that are graded right, dates and licences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import (
    BENCHMARKS,
    DATA_VARIABLE,
    Benchmark,
    Data,
    about_sample,
    benchmark,
    grader_of,
    open_grader,
)
from s1_eval.records.dates import first_day
from s1_eval.tasks.arxivmath import of_month

CONTESTS = [
    *("hmmt_feb_2025", "hmmt_nov_2025", "hmmt_feb_2026", "brumo_2025", "cmimc_2025", "smt_2025"),
    "apex_2025",
]
PROBLEM = {"problem_idx": 7, "problem": "Find $x$ with $2x=1$.", "answer": "\\frac{1}{2}"}
OLYMPIAD: dict[str, Any] = {
    "id": 1606,
    "question": "Find all $x$ with $(x-2)(x-5)=0$.",
    "final_answer": ["2, 5"],
    "context": None,
    "is_multiple_answer": True,
    "unit": None,
    "answer_type": "Numerical",
    "error": None,
    "subfield": "Algebra",
    "difficulty": "Competition",
}
SUPER = {
    "uuid": "0a1b",
    "question": "Which is the last?",
    "options": list("klmnopqrst"),
    "answer": "t",
    "answer_letter": "J",
    "discipline": "Science",
    "field": "Letters",
    "subfield": "Order",
    "difficulty": "easy",
}
IMO = {
    "Problem ID": "imo-bench-algebra-000",
    "Problem": "Find all $n$.",
    "Short Answer": "$\\{1, 3\\}$",
    "Category": "Algebra",
    "Subcategory": "Sets",
    "Source": "Invented",
}


def parquet(path: Path, rows: list[dict[str, Any]]) -> str:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return str(path)


def load(about: Benchmark, path: Path, *rows: dict[str, Any]) -> Data:
    return about.load(parquet(path / "rows.parquet", list(rows)))


def right(about: Benchmark, data: Data, answer: str, number: int = 0) -> bool:
    sample = data.samples[number]
    grader = open_grader(grader_of(about_sample(about.about(data), sample)))
    return grader.grade(answer, sample.target, sample.options).correct


def test_every_benchmark_says_how_old_its_questions_are_and_whose_they_are() -> None:
    undated = {"nano", "questions", "arxivmath", "contests_2025", "contests_2026"}
    for name in BENCHMARKS:
        about = benchmark(name)
        assert (about.published is None) == (name in undated), name
        assert (about.licence is None) == (name in undated), name
        if about.published:
            assert first_day(about.published).year >= 2021
            assert about.about(Data((), "x"))["published"] == about.published
        if about.hub and about.hub.revision:
            assert len(about.hub.revision) in (7, 40)


@pytest.mark.parametrize("name", CONTESTS)
def test_a_contest_of_matharena_is_asked_with_its_instruction(name: str, tmp_path: Path) -> None:
    about = benchmark(name)
    data = load(about, tmp_path, {**PROBLEM, "problem_type": ["Algebra"]})
    [sample] = data.samples
    assert sample.prompt == ("Put your final answer within \\boxed{}.\n\nFind $x$ with $2x=1$.")
    assert (sample.id, sample.labels) == ("7", {"problem_type": ["Algebra"]})
    assert right(about, data, "So $x = \\boxed{0.5}$.")
    assert not right(about, data, "\\boxed{2}")


def test_aime_is_a_whole_number_below_a_thousand(tmp_path: Path) -> None:
    about = benchmark("aime26")
    data = load(about, tmp_path, {"problem_idx": 1, "answer": 42, "problem": "How many?"})
    assert data.samples[0].prompt.startswith(
        "Put your final answer within \\boxed{}.\nThe answer is an integer between 0 and 999 "
    )
    assert right(about, data, "\\boxed{042}")
    with pytest.raises(UserError, match="not an integer from 0 to 999"):
        load(about, tmp_path, {"problem_idx": 1, "answer": 1000, "problem": "How many?"})


@pytest.mark.parametrize(
    ("given", "name"),
    [("0926", "arxivmath_0926"), (86, "arxivmath_0126"), (926, "arxivmath_0926")],
)
def test_a_month_is_a_data_set_however_yaml_reads_it(given: Any, name: str) -> None:
    about = of_month(given)
    assert about.name == name
    assert about.hub
    assert about.hub.dataset == f"MathArena/arxivmath-{name[-4:]}"
    assert about.published == f"20{name[-2:]}-{name[-4:-2]}"


@pytest.mark.parametrize("given", ["1326", "2026-09", "sept", "926x", None, 0])
def test_what_is_no_month_is_refused(given: Any) -> None:
    with pytest.raises(UserError, match="give month and year as MMYY"):
        of_month(given)


def test_arxivmath_without_a_month_asks_for_one() -> None:
    with pytest.raises(UserError, match="give -T month="):
        benchmark("arxivmath").load()


def test_a_question_is_as_old_as_its_paper(tmp_path: Path) -> None:
    about = of_month("0926")
    rows = [
        {**PROBLEM, "problem_idx": 1, "source": "2609.01234"},
        {**PROBLEM, "problem_idx": 2, "source": "2608.31000"},
    ]
    data = load(about, tmp_path, *rows)
    assert [s.published for s in data.samples] == ["2026-09", "2026-08"]
    newer = about.load(str(tmp_path / "rows.parquet"), since="2026-09")
    assert [s.id for s in newer.samples] == ["1"]
    assert newer.chosen == {"since": "2026-09"}
    with pytest.raises(UserError, match=r"no question of arxivmath_0926 is as new, .* 2026-09"):
        about.load(str(tmp_path / "rows.parquet"), since="2026-10")


def test_since_goes_by_the_benchmarks_date_where_questions_have_none(tmp_path: Path) -> None:
    about = benchmark("hmmt_feb_2026")
    path = parquet(tmp_path / "rows.parquet", [PROBLEM])
    assert len(about.load(path, since="2026-02-14").samples) == 1
    with pytest.raises(UserError, match="no question of hmmt_feb_2026 is as new"):
        about.load(path, since="2026-03")
    with pytest.raises(UserError, match="is not known"):
        benchmark("nano").load(since="2020")
    with pytest.raises(UserError, match="give a date"):
        about.load(path, since="soon")


@pytest.mark.parametrize(
    ("answer", "correct"),
    [
        ("So the final answer is \\boxed{5, 2}.", True),
        ("\\boxed{2,5}", True),
        ("\\boxed{2}", False),
        ("\\boxed{2, 5, 7}", False),
        ("\\boxed{2.0000000001, 5}", True),
        ("\\boxed{2.001, 5}", False),
    ],
)
def test_olympiadbench_takes_several_answers_in_any_order(
    tmp_path: Path, answer: str, correct: bool
) -> None:
    about = benchmark("olympiadbench")
    data = load(about, tmp_path, OLYMPIAD)
    assert data.samples[0].labels == {"subject": "Algebra", "level": "Competition"}
    assert right(about, data, answer) is correct


@pytest.mark.parametrize(
    ("error", "target", "answer", "correct"),
    [
        ("1e-1", "3.14", "3.2", True),
        ("1e-1", "3.14", "3.241", True),
        ("1e-1", "3.14", "3.3", False),
        ("0.5,", "10, 20", "20, 10.4", True),
        ("0.5,", "10, 20", "20.4, 10", False),
        (None, "10\\%", "10", True),
        (None, "90^\\circ", "90", True),
        (None, "10", "1000", False),
        (None, "(1,2)", "(2,1)", False),
        (None, "[0,1)", "[0,1]", False),
    ],
)
def test_olympiadbench_allows_each_answer_its_error(
    tmp_path: Path, error: str | None, target: str, answer: str, correct: bool
) -> None:
    about = benchmark("olympiadbench")
    data = load(about, tmp_path, {**OLYMPIAD, "final_answer": [target], "error": error})
    assert right(about, data, f"\\boxed{{{answer}}}") is correct


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "The problem has multiple answers, each of them should be a numerical value. "),
        ({"is_multiple_answer": False}, "The answer of The problem should be a numerical value. "),
        (
            {"answer_type": "Numerical,Expression"},
            "The problem has multiple answers, with the answers in order being a numerical value, "
            "an expression. ",
        ),
        ({"answer_type": "Tuple"}, "competition. Please calculate"),
        ({"unit": "m"}, '\\boxed{multiple answers connected with commas}(unit)." and give'),
        ({"unit": "m"}, "explicitly, note that the unit of the answer should not be included in"),
    ],
)
def test_olympiadbench_is_asked_as_its_authors_ask(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    [sample] = load(benchmark("olympiadbench"), tmp_path, {**OLYMPIAD, **changes}).samples
    assert said in sample.prompt
    assert sample.prompt.endswith(f".\n{OLYMPIAD['question']}")


@pytest.mark.parametrize(
    ("solution", "answer", "correct"),
    [
        ("It is \\boxed{1.6} m.", "\\boxed{1.6 \\text{ m}}", True),
        ("It is \\boxed{20 \\mathrm{~mg}}.", "\\boxed{20}", True),
        ("It is \\boxed{20 \\mathrm{~mg}}.", "\\boxed{20 \\text{ kg}}", False),
        ("First \\boxed{1}, then \\boxed{4.5e33}.", "\\boxed{4.5 \\times 10^{33}}", True),
        ("\\boxed{\\frac{\\sqrt{2}}{2}\\cos(t)}", "\\boxed{\\cos(t)/\\sqrt2}", True),
        ("It is \\boxed{1.6}.", "\\boxed{1.7}", False),
    ],
)
def test_minerva_reads_the_last_box_and_its_unit(
    tmp_path: Path, solution: str, answer: str, correct: bool
) -> None:
    about = benchmark("minerva_math")
    row = {"problem": "How far?", "solution": solution, "type": "Astronomy", "idx": 3}
    data = load(about, tmp_path, row)
    assert (data.samples[0].id, data.samples[0].labels) == ("3", {"subject": "Astronomy"})
    assert data.samples[0].prompt.endswith("\n\nHow far?")
    assert right(about, data, answer) is correct


def test_a_solution_without_an_answer_is_named(tmp_path: Path) -> None:
    row = {"problem": "How far?", "solution": " ", "type": "Astronomy", "idx": 3}
    with pytest.raises(UserError, match=r"row 1: .*the solution states no answer"):
        load(benchmark("minerva_math"), tmp_path, row)


@pytest.mark.parametrize(
    ("target", "answer", "correct"),
    [
        ("$\\{1, 3\\}$", "\\boxed{\\{3, 1\\}}", True),
        ("$\\{1, 3\\}$", "\\boxed{1}", False),
        ("$k \\geq 3$", "\\boxed{[3, \\infty)}", True),
        ("$k \\geq 3$", "\\boxed{k > 3}", False),
        ("$f(x)=2x, f(x)=0$", "\\boxed{f(x)=0, f(x)=2x}", True),
        ("$2^{u-2}$", "\\boxed{\\frac{2^u}{4}}", True),
        ("$g(x)=2x^3+C$", "\\boxed{g(x) = C + 2x^3}", True),
    ],
)
def test_imo_answers_are_sets_functions_and_conditions(
    tmp_path: Path, target: str, answer: str, correct: bool
) -> None:
    about = benchmark("imo_answerbench")
    data = load(about, tmp_path, {**IMO, "Short Answer": target})
    assert data.samples[0].labels["subject"] == "Algebra"
    assert right(about, data, answer) is correct


def test_a_target_that_cannot_be_read_is_named_and_takes_no_other_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    odd = {**IMO, "Problem ID": "odd", "Short Answer": "$x^{2} + = 3$"}
    data = load(benchmark("imo_answerbench"), tmp_path, IMO, odd)
    assert len(data.samples) == 2
    assert "the targets of 1 of 2 questions can't be read (odd)" in caplog.text


def test_supergpqa_has_ten_options_and_the_authors_prompt(tmp_path: Path) -> None:
    about = benchmark("supergpqa")
    file = tmp_path / "SuperGPQA-all.jsonl"
    file.write_text(json.dumps(SUPER) + "\n")
    data = about.load(str(tmp_path))
    [sample] = data.samples
    assert sample.prompt.startswith("Answer the following multiple choice question. There is only")
    assert "or J.\n\nWhich is the last?\nA) k\nB) l\n" in sample.prompt
    assert sample.prompt.endswith("I) s\nJ) t\n")
    assert (sample.target, sample.labels["level"]) == ("J", "easy")
    assert right(about, data, "Answer: J")
    assert right(about, data, "The answer is (J).")
    assert not right(about, data, "Answer: A")
    file.write_text(json.dumps({**SUPER, "options": ["k"], "answer_letter": "J"}))
    with pytest.raises(UserError, match="1 options, and the answer is 'J'"):
        about.load(str(tmp_path))


def test_gsm8k_stands_behind_the_mark(tmp_path: Path) -> None:
    about = benchmark("gsm8k")
    row = {"question": "How much?", "answer": "3*400=<<3*400=1200>>1,200\n#### 1,200"}
    data = load(about, tmp_path, row)
    assert (data.samples[0].prompt, data.samples[0].target) == ("How much?", "1200")
    assert right(about, data, "It costs \\$1,200.")
    with pytest.raises(UserError, match="has no line '#### N'"):
        load(about, tmp_path, {**row, "answer": "1200"})


def test_beyond_aime_takes_any_whole_number(tmp_path: Path) -> None:
    about = benchmark("beyond_aime")
    data = load(about, tmp_path, {"problem": "How many?", "answer": 123456})
    assert right(about, data, "\\boxed{123456}")


def test_a_group_asks_and_grades_every_question_as_its_own_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    parquet(folder / "aime26.parquet", [{"problem_idx": 1, "answer": 42, "problem": "How many?"}])
    parquet(folder / "hmmt_feb_2026.parquet", [{**PROBLEM, "problem_idx": 1}])
    about = benchmark("contests_2026")
    data = about.load(str(tmp_path))
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    assert about.load().fingerprint == data.fingerprint
    one, other = data.samples
    assert (one.id, other.id) == ("aime26/1", "hmmt_feb_2026/1")
    assert [s.labels["contest"] for s in data.samples] == ["aime26", "hmmt_feb_2026"]
    assert [s.published for s in data.samples] == ["2026-02-05", "2026-02-14"]
    told = about.about(data)
    assert (told["strata"], told["published"]) == ("contest", "2026-02-05")
    assert told["dataset"]["id"] == "aime26.parquet + hmmt_feb_2026.parquet"
    assert right(about, data, "\\boxed{42}", 0)
    assert right(about, data, "\\boxed{0.5}", 1)
    assert not right(about, data, "\\boxed{42.0001}", 0)
    assert len(about.load(str(tmp_path), since="2026-02-10").samples) == 1


def test_a_group_does_not_read_one_file_for_all_of_its_contests(tmp_path: Path) -> None:
    file = parquet(tmp_path / "aime26.parquet", [{**PROBLEM, "answer": 42}])
    with pytest.raises(
        UserError, match=r"give a folder of aime26\.parquet, hmmt_feb_2026\.parquet"
    ):
        benchmark("contests_2026").load(file)


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("hmmt_feb_2026", {**PROBLEM, "answer": None}, "answer is empty"),
        ("hmmt_feb_2026", {**PROBLEM, "problem": None}, "problem is empty"),
        ("imo_answerbench", {"Problem ID": "1", "Problem": "?", "Short Answer": None}, "is empty"),
        ("minerva_math", {"idx": 1, "problem": None, "solution": "$\\boxed{1}$"}, "is empty"),
        ("olympiadbench", {**OLYMPIAD, "final_answer": "25"}, "'25': give a list"),
        ("olympiadbench", {**OLYMPIAD, "answer_type": "Essay"}, "answer_type is 'Essay'"),
        ("supergpqa", {**SUPER, "options": "klmnopqrst"}, "'klmnopqrst' are no list"),
        ("gsm8k", {"question": "?", "answer": None}, "no attribute"),
        (
            "math500",
            {"unique_id": 1, "problem": "?", "answer": 5, "subject": "", "level": 1},
            "text",
        ),
    ],
)
def test_a_broken_row_is_named_and_never_read_as_something_else(
    tmp_path: Path, name: str, row: dict[str, Any], said: str
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(row))
    with pytest.raises(UserError, match=f"row 1: not a sample of {name}: .*{said}"):
        benchmark(name).load(str(file))


def test_no_two_members_of_a_group_share_a_contest() -> None:
    from s1_eval.evaluation.groups import Group

    for name in BENCHMARKS:
        about = benchmark(name)
        if isinstance(about, Group):
            assert len(set(about.members)) == len(about.members)
            assert "apex_2025" not in about.members
