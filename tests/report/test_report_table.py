"""The table has one row per series and a note for everything that is undefined."""

import io

import pytest
import runs
from rich.console import Console

from s1_eval.metrics import score
from s1_eval.report import render, table


def printed(entries, width):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    render(entries, console)
    return console.file.getvalue()


def test_one_row_per_series_with_its_numbers(entries):
    [made] = table.tables(entries)
    assert [(row[0].main, row[1].main, row[2].main) for row in made.rows] == [
        ("plain", "", "1"),
        ("budget_forcing", "max_thinking_tokens", "4"),
        ("budget_forcing", "num_ignores", "3"),
    ]
    caps = made.rows[1]
    assert (caps[3].main, caps[3].detail) == ("100", "[100, 100]")
    assert (caps[5].main, caps[6].main) == ("66.7", "66.0")
    assert (caps[7].main, caps[8].main) == ("120", "0.0")


def test_undefined_is_a_dash_whose_note_says_why(entries):
    [made] = table.tables(entries)
    plain = made.rows[0]
    assert [(cell.main, cell.mark) for cell in plain[3:5]] == [("—", "¹"), ("—", "²")]
    assert made.notes[0] == "no run has a limit on its thinking tokens"
    assert made.notes[1].startswith("one run has no slope")
    assert made.rows[2][3].mark == "¹"  # the same note is written once


def test_models_and_tasks_have_tables_of_their_own():
    both = [runs.run([True, False], 5, model=model) for model in ("a", "b")]
    assert [made.title for made in table.tables(score(both, resamples=50))] == [
        "a on toy, 2 questions",
        "b on toy, 2 questions",
    ]


def test_plain_text_has_no_escape_codes_and_keeps_each_series_on_a_line(entries):
    text = table.text(entries)
    assert "\x1b" not in text
    [line] = [line for line in text.split("\n") if "num_ignores" in line]
    assert "[" in line
    assert text.count("¹ no run has a limit") == 1


def test_a_narrow_terminal_splits_no_name_and_no_number(entries):
    narrow = printed(entries, 80)
    assert max(len(line) for line in narrow.split("\n")) <= 80
    for whole in ("budget_forcing", "max_thinking_tokens", "[100, 100]", "Performance"):
        assert whole in narrow


def test_markdown_is_a_table_whose_rows_have_equally_many_cells(entries):
    lines = [line for line in table.markdown(entries).split("\n") if line.startswith("|")]
    assert {line.count("|") for line in lines} == {len(table.HEADINGS) + 1}


@pytest.mark.parametrize("name", ["[red]x[/red]", "a|b", "<script>alert(1)</script>", "`x`"])
def test_names_from_records_are_text_everywhere(name):
    made = score([runs.run([True, False], 5, method=name, model=name)], resamples=50)
    assert name in table.text(made)
    markdown = table.markdown(made)
    assert "<script>" not in markdown
    rows = [line for line in markdown.split("\n") if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") == len(table.HEADINGS) + 1 for line in rows)


def test_no_negative_zero():
    assert table.fixed(-0.04) == "0.0"
    assert table.fixed(None) == "—"
