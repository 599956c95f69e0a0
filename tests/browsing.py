"""A browser for the tests of our pages, and what every page must be."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def chromium() -> Iterator[Any]:
    """Chromium, found on the PATH. Its event loop ends here: others want their own."""
    path = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if path is None:
        pytest.skip("no Chromium on the PATH: install it, e.g. apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as p:
        opened = p.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


def violations(page: Any) -> list[Any]:
    """What axe finds wrong with a page: rules, and the first elements that break them."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    return [(each["id"], [node["target"] for node in each["nodes"]][:3]) for each in found]


@contextmanager
def watched(browser: Any, address: str, allowed: str) -> Iterator[Any]:
    """A page at `address` that has to run without an error of its own, ask for nothing but what
    begins with `allowed`, and not let a text name it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(120_000)  # on a machine with other work
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda said: said.type == "error" and page.wrong.append(said.text))
    page.on(
        "request",
        lambda asked: asked.url.startswith(allowed) or page.wrong.append(f"asked {asked.url}"),
    )
    page.goto(address)
    yield page
    assert page.wrong == []
    assert page.title() != "owned"
    context.close()
