"""How far a run is, where there is no terminal."""

from __future__ import annotations

import re
import time

import pytest

from s1_eval.evaluation import progress


def test_without_a_terminal_it_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.05)
    began = time.monotonic()
    with progress.shown() as shown:
        shown.begin("2 runs", 10, 4)
        shown.advance()
        shown.advance(failed=True)
        said = ""
        while said.count("\n") < 3 and time.monotonic() < began + 60:
            time.sleep(0.05)
            said += capsys.readouterr().err
        shown.say("by the way")
    first, *lines, last = (said + capsys.readouterr().err).splitlines()
    assert first.startswith("2 runs: 4 of 10 done")
    told = r"2 runs: 5 of 10 done, 1 failed, [\d.]+ a minute, remaining 0:00:\d\d"
    assert len([line for line in lines if re.fullmatch(told, line)]) >= 2
    assert "by the way" in lines
    assert re.fullmatch(told, last)


def test_quiet_is_nothing_but_what_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with progress.shown(quiet=True) as shown:
        shown.begin("2 runs", 10, 4)
        shown.advance()
    assert capsys.readouterr().err == ""
