"""The audit on the terminal has one row per run, and no run's name can drive the terminal."""

import io

import runs
from rich.console import Console

from s1_eval.metrics import score
from s1_eval.report import audit, render


def printed(entries, width=140, show=audit.render):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    show(entries, console)
    return console.file.getvalue()


def cells(text, name):
    [line] = [line for line in text.split("\n") if name in line]
    return line[line.index(name) :].split()[1:]


def test_each_run_has_a_row_with_its_limit_and_what_broke_it(entries):
    text = printed(entries)
    assert cells(text, "max_thinking_tokens=64")[:4] == ["64", "0", "64.0", "64"]
    assert cells(text, "num_ignores=1")[:2] == ["—", "—"]
    over = score([runs.run([True] * 4, [5, 9, 8, 3], budget=8)], resamples=20)
    assert cells(printed(over), "budget_forcing")[:4] == ["8", "1", "6.2", "9"]


def test_a_narrow_terminal_splits_no_name(entries):
    narrow = printed(entries, 80)
    assert max(map(len, narrow.split("\n"))) <= 80
    assert "max_thinking_tokens=64" in narrow
    assert narrow.count("30 natural") == 8


def test_settings_of_other_people_stay_inert():
    evil = [
        runs.run([True, False], 5 + n, params={"\x1b[31mevil": n, "k": "\x1b[2J", "num_ignores": n})
        for n in (0, 1)
    ]
    for show in (audit.render, render):
        text = printed(score(evil, resamples=20), show=show)
        assert "\x1b" not in text
        assert "u001b[31mevil" in text
