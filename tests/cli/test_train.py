"""`s1-train`, ended from outside."""

from __future__ import annotations

import os
import signal

import pytest

from s1_eval.cli import train


@pytest.mark.parametrize(
    ("number", "how"), [(signal.SIGTERM, "terminated"), (signal.SIGINT, "interrupted")]
)
def test_a_signal_ends_it_with_a_word_on_how_to_go_on(monkeypatch, capsys, number, how) -> None:
    monkeypatch.setattr(train, "train", lambda argv: os.kill(os.getpid(), number))
    assert train.main([]) == 128 + number
    assert f"s1-train: {how}; --resume goes on" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
