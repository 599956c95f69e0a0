"""Scores by what questions' metadata says, strata of a group, models newer than questions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import runs

from s1_eval.errors import UserError
from s1_eval.metrics import bootstrap, intervals, score
from s1_eval.metrics.points import tally
from s1_eval.metrics.scoring import whole
from s1_eval.records import Run
from s1_eval.records.failures import Failure
from s1_eval.report import table


def told(run: Run, values: list[Any], column: str = "level", **record: Any) -> Run:
    """The run with each question's metadata."""
    rows = [{**row, "metadata": {column: v}} for row, v in zip(run.rows, values, strict=True)]
    return replace(run, rows=rows, record={**run.record, **record})


def by(run: Run, column: str = "level") -> dict[Any, Any]:
    return {e["by"][column]: e for e in score([run], by=column) if "by" in e}


def test_each_value_has_its_own_entry_with_an_interval() -> None:
    run = told(runs.run(runs.graded(6, 12), 5), [1] * 4 + [2] * 8)
    found = by(run)
    assert [(v, e["questions"]) for v, e in found.items()] == [(1, 4), (2, 8)]
    assert (found[1]["performance"]["value"], found[2]["performance"]["value"]) == (100, 25)
    alone = intervals.accuracy(tally(runs.run(runs.graded(2, 8), 5)))
    assert found[2]["performance"]["low"] == pytest.approx(100 * alone.low)
    assert whole(score([run], by="level")) == score([run])


def test_values_stand_in_their_own_order_and_none_last() -> None:
    run = told(runs.run(runs.graded(3, 6), 5), [10, 9, "hard", None, 9, "easy"])
    assert list(by(run)) == [9, 10, "easy", "hard", None]


def test_a_question_with_several_values_counts_in_each() -> None:
    run = told(runs.run(runs.graded(2, 3), 5), [["Algebra", "Geometry"], ["Algebra"], []], "type")
    assert {v: e["questions"] for v, e in by(run, "type").items()} == {
        "Algebra": 2,
        "Geometry": 1,
        None: 1,
    }


def test_a_column_that_no_record_has_is_named_with_those_that_there_are() -> None:
    run = told(runs.run(runs.graded(2, 3), 5), [1, 2, 3])
    with pytest.raises(UserError, match="--by levle: no record has it; their metadata has level"):
        score([run], by="levle")
    with pytest.raises(UserError, match="they have no metadata"):
        score([runs.run(runs.graded(2, 3), 5)], by="level")


def test_metadata_that_is_none_takes_nothing_down() -> None:
    run = told(runs.run(runs.graded(2, 3), 5), [{"a": 1}, [["x"]], 1.5])
    rows = [*run.rows[:2], {**run.rows[2], "metadata": "level"}]
    assert set(by(replace(run, rows=rows))) == {"{'a': 1}", "['x']", None}


def test_what_failed_is_told_where_its_question_belongs() -> None:
    one = told(runs.run(runs.graded(2, 3), 5, params={"max_thinking_tokens": 8}), [1, 1, 2])
    lost = Failure("q002", 1, "no answer", 3, "now")
    two = told(runs.run(runs.graded(2, 3), 5, params={"max_thinking_tokens": 9}), [1, 1, 2])
    two = replace(two, rows=two.rows[:2], failed=(lost,))
    entries = [e for e in score([one, two], by="level", common_questions=True) if "by" in e]
    assert "failed" not in (entries[0]["performance"]["note"] or "")


def test_the_table_says_which_questions_a_row_is_about() -> None:
    run = told(runs.run(runs.graded(6, 12), 5), [1] * 4 + [2] * 8)
    one, other = table.tables(score([run], by="level"))
    assert (one.title, other.title) == ("nano on toy, 12 questions", "nano on toy, by level")
    assert [row[0].main for row in other.rows] == [
        "budget_forcing, level=1 (4 questions)",
        "budget_forcing, level=2 (8 questions)",
    ]


# Strata

CONTESTS = ["aime"] * 30 + ["hmmt"] * 33


def test_a_group_has_the_plain_mean_and_a_narrower_interval() -> None:
    right = runs.graded(27, 30) + runs.graded(9, 33)
    plain = runs.run(right, 5)
    pooled = told(plain, CONTESTS, "contest", strata="contest")
    [one], [other] = score([plain]), score([pooled])
    assert one["performance"]["value"] == other["performance"]["value"]
    width = [e["performance"]["high"] - e["performance"]["low"] for e in (one, other)]
    assert width[1] < width[0]
    assert other["performance"]["interval"].endswith("stratified")


def test_the_joint_limits_are_those_of_zou_and_donner() -> None:
    values = np.array([1.0] * 27 + [0.0] * 3 + [1.0] * 9 + [0.0] * 24)
    found = intervals.stratified(values, CONTESTS, intervals.proportion)
    parts = [intervals.wilson(0.9, 30), intervals.wilson(9 / 33, 33)]
    guarded = intervals.proportion(values[:30])
    parts[0] = guarded
    shares, means = (30 / 63, 33 / 63), (0.9, 9 / 33)
    low = sum((s * (m - p.low)) ** 2 for s, m, p in zip(shares, means, parts, strict=True)) ** 0.5
    assert found.low == pytest.approx(values.mean() - low)


def test_one_stratum_or_none_is_no_stratification() -> None:
    values = np.array([1.0] * 12 + [0.0] * 18)
    for strata in ((), ["aime"] * 30):
        assert intervals.stratified(values, strata, intervals.proportion) == intervals.proportion(
            values
        )


def test_a_stratum_that_says_nothing_leaves_the_plain_interval() -> None:
    values = np.array([1.0] * 12 + [0.0] * 18)
    strata = ["aime"] * 29 + ["hmmt"]
    found = intervals.stratified(values, strata, intervals.proportion)
    assert found == intervals.proportion(values)


def test_contests_all_right_and_all_wrong_still_have_a_width() -> None:
    values = np.array([1.0] * 30 + [0.0] * 33)
    found = intervals.stratified(values, CONTESTS, intervals.proportion)
    assert found.low < values.mean() < found.high


def test_resamples_keep_as_many_of_each_stratum() -> None:
    values = np.array([[1.0]] * 30 + [[0.0]] * 33)
    drawn = bootstrap.means(values, 0, 50, CONTESTS)
    assert np.allclose(drawn, 30 / 63), "each stratum is all alike, so nothing varies"
    assert len(np.unique(bootstrap.means(values, 0, 50))) > 5


# Dates


@pytest.mark.parametrize(
    ("released", "published", "marked"),
    [
        ("2026-02", "2026-01", True),
        ("2026-02", "2026-02-14", True),
        ("2026-02", "2026-03", False),
        ("2025-12-31", "2026", False),
        ("2026", "2026-11", True),
        (None, "2024", False),
        ("2026-02", None, False),
        ("soon", "2024", False),
        ("2026-02", "never", False),
    ],
)
def test_a_model_that_is_newer_than_its_questions_is_marked(
    released: str | None, published: str | None, marked: bool
) -> None:
    given = {"released": released, "published": published}
    run = runs.run(runs.graded(2, 4), 5)
    run = replace(run, record={**run.record, **{n: v for n, v in given.items() if v is not None}})
    [entry] = score([run])
    note = entry["performance"]["note"] or ""
    assert ("it may have learned from them" in note) is marked
    if marked:
        assert f"released {released}, when its questions were public ({published})" in note


def test_the_dates_of_single_questions_count_them() -> None:
    run = runs.run(runs.graded(2, 4), 5)
    dates = ["2026-01", "2026-01", "2026-03", "2026-04"]
    rows = [{**row, "published": date} for row, date in zip(run.rows, dates, strict=True)]
    run = replace(run, rows=rows, record={**run.record, "released": "2026-02"})
    [entry] = score([run])
    assert "when 2 of the 4 questions were public (2026-01)" in entry["performance"]["note"]
