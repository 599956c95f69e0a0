"""The page of a gateway in a real browser: nano thinks, and one watches."""

from __future__ import annotations

import httpx
import pytest
from browsing import violations
from viewing import EVIL, STEERING, served

from s1_eval.engines.transformers import TransformersEngine
from s1_eval.evaluation.opened import shared_verifier
from s1_eval.serve.app import application
from s1_eval.serve.gateway import Gateway

pytestmark = pytest.mark.slow

QUESTION = "Compute mod 100.\nS=39\nA*6\nB-8\nC+5\nD+6\nE-4"
KEY = "a key"
WATCH = """(selector) => {
    window.seen = new Set(); // the lengths that its text ever had
    new MutationObserver(() => {
        const found = document.querySelector(selector);
        if (found) seen.add(found.textContent.length);
    }).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


@pytest.fixture(scope="module")
def gateway():
    engine = TransformersEngine("nano")
    made = Gateway(engine, "nano", verifier=shared_verifier("nano-prm"))
    yield made
    made.close()
    engine.close()


@pytest.fixture(scope="module")
def address(gateway):
    with served(application(gateway)) as at:
        yield at


@pytest.fixture
def page(browser, address):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda said: said.type == "error" and page.wrong.append(said.text))
    page.set_default_timeout(120_000)  # nano may have to share its cores
    page.goto(address)
    page.locator(".ask").wait_for()
    yield page
    assert page.wrong == []
    assert page.title() != "owned"
    context.close()


def ask(page, left, right, question=QUESTION, **more):
    fields = {"question": question, "temperature": "1", **more}
    for name, value in fields.items():
        page.locator(f"[name={name}]").fill(value)
    for i, (method, settings) in enumerate((left, right)):
        page.locator(f"[name=method{i}]").select_option(method)
        page.locator(f"[name=settings{i}]").fill(settings)
    page.get_by_role("button", name="Ask both").click()


def columns(page):
    """Of the question that was asked by two methods, once both have answered."""
    found = page.locator(".mine .column")
    for i in range(2):
        found.nth(i).locator(".tools").wait_for()
    return found.nth(0), found.nth(1)


def test_one_question_by_two_methods_side_by_side(page):
    ask(
        page,
        ("plain", ""),
        ("budget_forcing", "num_ignores=1 max_thinking_tokens=200"),
        temperature="0",
        target="0",
    )
    left, right = columns(page)
    assert left.locator("h2 .verdict").inner_text() == "✗ wrong"
    assert left.locator(".bar .wait, .bar.capped").count() == 0
    assert right.locator(".bar .wait").count() == 1
    assert right.locator(".bar.capped").count() == 1
    assert "of 200 thinking tokens, 1 forced, ended:" in right.locator(".budget").inner_text()
    assert right.locator("mark.thinking").inner_text() == "Wait"


def test_chains_grow_before_the_eyes(page):
    page.evaluate(WATCH, ".growing")
    ask(page, ("budget_forcing", "num_ignores=3"), ("plain", ""))
    columns(page)
    assert page.evaluate("seen.size") > 3


def test_a_vote_and_a_search_show_their_chains(page):
    page.evaluate(WATCH, ".live:has(.growing) svg")
    ask(page, ("majority_vote", "samples=4"), ("beam_search", "samples=4 beam_width=2"))
    left, right = columns(page)
    assert page.evaluate("seen.size") > 1
    assert left.locator(".chain-row").count() == 4
    buttons = left.locator(".votes .of button")
    assert sorted(buttons.all_inner_texts()) == ["1", "2", "3", "4"]
    assert left.locator(".votes li.won").count() == 1
    assert right.locator(".dot").count() > 4
    assert right.locator(".dot.pruned").count() > 0
    assert "score" in right.locator(".dot").first.get_attribute("aria-label")
    right.locator(".chain-row button").nth(1).click()
    assert right.locator(".chain-row button").nth(1).get_attribute("aria-pressed") == "true"
    page.set_viewport_size({"width": 390, "height": 900})
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_what_others_ask_is_seen_and_is_text(page, address):
    asked = {
        "model": "nano:budget_forcing",
        "messages": [{"role": "user", "content": QUESTION + EVIL + STEERING}],
        "temperature": 0,
        "s1_eval": {"max_thinking_tokens": 16, "sample_id": EVIL},
    }
    httpx.post(f"{address}v1/chat/completions", json=asked, timeout=180).raise_for_status()
    other = page.locator(".others .live").first
    other.locator(".tools").wait_for()
    assert EVIL in other.locator(".question").inner_text()
    assert "\\u202eRTL" in other.locator(".question").inner_text()
    assert page.locator("main img, main script").count() == 0


def test_a_refusal_is_said_where_it_belongs(page):
    ask(page, ("budget_forcing", "num_ignore=1"), ("plain", "x"))
    assert "x: write settings as NAME=VALUE" in page.get_by_role("alert").inner_text()
    ask(page, ("budget_forcing", "num_ignore=1"), ("plain", ""))
    refused = page.locator(".mine .column").nth(0).locator(".bad")
    refused.wait_for()
    assert "num_ignores" in refused.inner_text()
    page.locator(".mine .column").nth(1).locator(".tools").wait_for()
    page.wrong.clear()  # the browser's own word on the 400


def test_a_key_is_asked_for_and_taken(browser, gateway):
    with served(application(gateway, api_key=KEY)) as address:
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.goto(address)
        page.get_by_text("this server asks for an API key").wait_for()
        ask(page, ("plain", ""), ("budget_forcing", "max_thinking_tokens=16"), key=KEY)
        columns(page)
        page.close()


def test_a_server_that_was_away_is_watched_again(browser, gateway):
    page = browser.new_page()
    page.set_default_timeout(120_000)
    with served(application(gateway)) as address:
        page.goto(address)
        page.locator(".ask").wait_for()
    page.get_by_text("trying again").wait_for()
    with served(application(gateway), int(address.rstrip("/").rpartition(":")[2])):
        page.get_by_role("alert").wait_for(state="hidden")
        ask(page, ("plain", ""), ("budget_forcing", "max_thinking_tokens=16"))
        columns(page)
        page.close()
