"""Inspect View itself, in a real browser, over logs of nano."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval

from s1_eval.solvers import budget_forcing, majority_vote
from s1_eval.tasks.nano import nano

pytestmark = pytest.mark.slow

COLUMNS = ["ID", "Epoch", "Accuracy", "Thinking", "Budget", "Ended", "Forced", "Answer", "Target"]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of two caps and a vote, made before the browser has an event loop."""
    folder = tmp_path_factory.mktemp("logs")
    quiet = {"display": "none", "log_realtime": False, "log_dir": str(folder), "limit": 2}
    solvers: dict[str, tuple[Any, dict[str, Any]]] = {
        "16": (budget_forcing(max_thinking_tokens=16, num_ignores=1), {}),
        "256": (budget_forcing(max_thinking_tokens=256, num_ignores=1), {}),
        "vote": (majority_vote(samples=4), {"temperature": 1.0, "seed": 0}),
    }
    made = {}
    for name, (solver, sampling) in solvers.items():
        [log] = eval(nano(), solver=solver, model="s1_hf/nano", **quiet, **sampling)
        made[name] = Path(log.location)
    return made


@pytest.fixture(scope="module")
def view(logs: dict[str, Path], browser: Any) -> Iterator[Any]:
    """A page of `inspect view` on them; `.address` is where it runs."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "inspect_ai", "view", "start", "--port", str(port)]
    with subprocess.Popen(  # noqa: S603
        [*command, "--log-dir", str(logs["16"].parent)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            page = browser.new_page(viewport={"width": 1600, "height": 1000})
            page.set_default_timeout(90_000)  # on a machine with other work
            page.address = f"http://127.0.0.1:{port}"
            for _ in range(600):
                with suppress(Exception):  # it takes some seconds to start
                    page.goto(page.address)
                    break
                page.wait_for_timeout(300)
            yield page
            page.close()
        finally:
            server.terminate()


def opened(page: Any, log: Path, *rest: str) -> Any:
    page.goto("about:blank")
    page.goto("/".join([f"{page.address}/#", "logs", log.name, *rest]))
    return page


def test_runs_at_different_caps_tell_themselves_apart_in_the_list(view: Any) -> None:
    view.goto(view.address)
    for shown in ("16 max_thinking_tokens", "256 max_thinking_tokens", "4 samples"):
        view.get_by_text(shown).first.wait_for()


def test_samples_have_a_column_for_each_score_and_questions_as_they_are(
    view: Any, logs: dict[str, Path]
) -> None:
    page = opened(view, logs["256"], "samples")
    page.get_by_text("Thinking", exact=True).first.wait_for()
    page.locator("pre").first.wait_for()
    headings = page.locator("[role=columnheader]").all_inner_texts()
    assert [h.strip().lower() for h in headings if h.strip()][:9] == [c.lower() for c in COLUMNS]
    assert page.locator("em").count() == 0


def test_a_score_says_what_was_forced_and_how_the_votes_fell(
    view: Any, logs: dict[str, Path]
) -> None:
    first = nano().dataset[0].id
    page = opened(view, logs["256"], "samples", "sample", first, "1", "scoring")
    page.get_by_text("⟦Wait").first.wait_for()
    assert page.locator("em").count() == 0
    page = opened(view, logs["vote"], "samples", "sample", first, "1", "scoring")
    page.get_by_text("Votes:").first.wait_for()
    assert page.locator("li", has_text="of 4:").count() >= 1
