"""A verifier of somebody else's: a file of its own and a line in the table."""

from __future__ import annotations

import pytest
from scripted import ScriptedVerifier

from s1_eval.errors import UserError
from s1_eval.verifiers.table import ENGINES, open_verifier, parse_verifier


class Echo(ScriptedVerifier):
    def __init__(self, model: str, *, format: str | None, name: str, gain: int = 1) -> None:
        super().__init__()
        self.asked = (format, name, gain)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "echo", f"{__name__}:Echo")


def test_it_is_opened_by_its_name_and_its_settings_are_checked(listed: None) -> None:
    assert parse_verifier("echo/skywork:some/prm") == ("echo", "skywork", "some/prm")
    assert open_verifier("echo/nano-prm", gain=3).asked == (None, "nano-prm", 3)
    with pytest.raises(UserError, match="gain='x': give a whole number"):
        open_verifier("echo/nano-prm", gain="x")
