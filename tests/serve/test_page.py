"""The page in a real browser: recorded runs by mouse and by keyboard, on a desk and on a phone,
light and dark, with texts that try everything."""

from __future__ import annotations

import re

import pytest
import runs
from browsing import violations, watched
from viewing import LONG, QUESTION, read, served

from s1_eval.records import RunWriter
from s1_eval.serve.view import app

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def records(recorded):
    return read(recorded)


@pytest.fixture(scope="module")
def address(records):
    with served(app(records)) as at:
        yield at


@pytest.fixture(scope="module")
def ids(records):
    return {run.label.replace("budget_forcing", "bf"): id for id, run in records.runs.items()}


@pytest.fixture
def page(browser, address):
    with watched(browser, address, address) as page:
        yield page


def go(page, address, *parts, **query):
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    hash = f"#/run/{'/'.join(parts)}?{asked}"
    page.goto(f"{address}{hash}")
    page.wait_for_function(
        "hash => document.getElementById('main').dataset.hash === hash", arg=hash
    )


def here(page):
    return page.locator(".here").text_content()  # laid out or not yet


def test_from_the_list_of_runs_to_a_question_and_its_mathematics(page):
    page.get_by_role("link", name="budget_forcing, num_ignores=2").click()
    page.get_by_role("link", name="q1", exact=True).click()
    page.locator(".question .katex").first.wait_for()
    assert page.locator(".question .katex").count() == 1
    assert "It costs $5 and $6." in page.locator(".question").inner_text()
    assert page.locator("dl.facts").inner_text().split("\n")[1] == "5/6"
    assert "✓ right" in page.locator("dl.facts").inner_text()
    page.locator(".chain .katex").nth(3).wait_for()
    assert page.locator(".chain .katex-display").count() == 1
    assert page.evaluate("document.fonts.check('16px KaTeX_Main')")


def test_keys_go_through_forced_tokens_and_questions(page, address, ids):
    go(page, address, ids["bf, num_ignores=2"], "q1", "1")
    shown = []
    for _ in range(5):
        page.keyboard.press("n")
        shown.append(here(page).strip())
    assert shown == ["<think>", "Wait", "Wait", "</think>", "</think>"]
    page.keyboard.press("p")
    assert here(page) == "Wait"
    assert page.locator("#said").inner_text() == "forced 3 of 4: Wait"
    for key, name in (("j", "q2"), ("j", "q3"), ("k", "q2")):
        page.keyboard.press(key)
        page.get_by_role("heading", name=name, exact=True).wait_for()
    page.get_by_text("Keys", exact=True).click()
    page.get_by_label("single keys work").uncheck()
    page.locator("main").press("j")
    assert page.locator("h1").inner_text() == "q2"


def test_keys_stay_among_the_questions_that_were_filtered(page, address, ids):
    go(page, address, ids["bf"], only="wrong")
    assert page.locator("tbody th").all_inner_texts() == ["q3", "q6", "q9"]
    page.get_by_role("link", name="q3").click()
    page.get_by_role("heading", name="q3").wait_for()
    page.keyboard.press("j")
    page.get_by_role("heading", name="q6").wait_for()


def test_search_finds_marks_and_steps_whatever_the_case(page, address, ids):
    go(page, address, ids["bf, num_ignores=2"], "q1", "1")
    page.keyboard.press("/")
    page.keyboard.type("LET ME")
    assert page.locator(".hit").all_inner_texts() == ["let me", "let me"]
    assert "2 found" in page.locator(".tools").inner_text()
    page.keyboard.press("Enter")
    assert page.locator("#said").inner_text() == "found 2 of 2"
    page.locator(".tools input").fill("frac{1}{3}")  # in a formula, which is shown as written
    assert page.locator(".hit").all_inner_texts() == ["frac{1}{3}"]
    page.locator(".tools input").fill("")
    page.locator(".chain .katex-display").wait_for()
    assert page.locator(".hit").count() == 0


def test_two_runs_stand_side_by_side_with_their_beginning_folded(page, address, ids):
    go(page, address, ids["bf, num_ignores=2"], "q1", "1")
    page.get_by_label("Side by side with").select_option(label="budget_forcing (right)")
    page.get_by_text("characters of both are the same").wait_for()
    left, right = page.locator(".beside .chain").all_inner_texts()
    assert "Wait" in left
    assert "Wait" not in right
    assert "denominator" not in left + right
    page.get_by_text("characters of both are the same").click()
    page.locator(".folded .chain", has_text="denominator").wait_for()
    assert f"with={ids['bf']}%3A1" in page.url
    page.reload()
    page.get_by_text("characters of both are the same").wait_for()


def test_votes_lead_to_the_chains_that_gave_them(page, address, ids):
    go(page, address, ids["majority_vote, samples=4"], "q1", "1")
    votes = page.locator(".votes li")
    assert [vote.split("\n")[0] for vote in votes.all_inner_texts()] == [
        "5/6 ✓ right chosen",
        "2/5 ✗ wrong",
        "can't be read ✗ wrong",
    ]
    votes.nth(1).get_by_role("button", name="2").click()
    page.locator(".chain", has_text="2/5").wait_for()
    assert "chain=1" in page.url


def test_a_search_is_a_tree_that_keys_walk(page, address, ids):
    go(page, address, ids["beam_search, samples=2"], "q1", "1")
    dots = page.locator(".dot")
    assert [dot.get_attribute("aria-label") for dot in dots.all()] == [
        "step 1, score 0.5",
        "step 2, score 0.7",
        "step 3, score 0.9, end of chain 1",
        "step 3, score 0.25, end of chain 2",
        "step 2, score 0.1, given up, end of chain 3",
    ]
    assert page.locator(".dot.pruned").count() == page.locator(".edge.pruned").count() == 1
    dots.nth(0).focus()
    for key in ("ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    assert page.locator(".step pre").inner_text() == "Guess."
    page.get_by_role("button", name="Read chain 3").click()
    page.locator(".chain", has_text="Guess").wait_for()


def test_at_k_is_read_when_it_is_opened(page, address, ids):
    go(page, address, ids["majority_vote, samples=4"])
    page.get_by_text("At k:").click()
    page.get_by_role("region", name="At k").wait_for()
    cells = page.get_by_role("region", name="At k").locator("tbody th").all_inner_texts()
    assert cells == ["1", "2", "4"]
    assert page.locator("main", has_text=re.compile("null|undefined|NaN")).count() == 0


def test_the_advice_of_runs_that_differ_in_their_budget(page, address, ids):
    go(page, address, ids["bf"])
    page.get_by_text("Advice:").click()
    page.locator("details[open] section").wait_for()
    assert "num_ignores" in page.locator("details[open] h2").inner_text()
    assert page.locator("details[open] li").count() > 0


def test_a_link_names_ids_and_says_where_there_is_none(page, address, ids):
    page.goto(f"{address}#/run/{ids['bf']}/nothing/1")
    page.get_by_text("has no such question").wait_for()
    page.wrong.clear()  # the browser's own word on the 404
    page.get_by_role("link", name="To the beginning").click()
    page.get_by_role("heading", name="Recorded runs").wait_for()


@pytest.mark.parametrize("id", ["", "a/b?c#d", "../..", "%2F"])
def test_any_id_is_linked(browser, tmp_path, id):
    record = runs.record()
    with RunWriter(tmp_path, record) as writer:
        for each, text in ((id, "this one"), ("1", "another")):
            writer.append({**runs.row(record, each), "question": text})
    with served(app(read(tmp_path))) as address:
        page = browser.new_page()
        go(page, address, record["run_id"])
        page.get_by_role("link", name=id or "(no id)", exact=True).click()
        page.locator(".question", has_text="this one").wait_for()
        page.close()


def test_texts_that_try_everything_are_texts(page, address, ids):
    go(page, address, ids["bf, num_ignores=2"], find="script")
    page.locator("tbody a").click()
    chain = page.locator(".chain")
    chain.wait_for()
    for text in (chain.inner_text(), page.locator(".question").inner_text()):
        assert (
            "<img src=x onerror=document.title='owned'>" in text.replace("\u200b", "")
            or "$" in text
        )
        assert "\\u202eRTL" in text
        assert "\\x1b[2J" in text
    assert r"\href{javascript:document.title='owned'}{click}" in chain.inner_text()
    page.locator(".chain .katex").first.wait_for()
    assert page.locator(".katex", has_text="javascript").count() == 0
    assert page.locator("a[href^='javascript'], main img, main script").count() == 0


def test_a_hundred_thousand_characters_are_laid_out_where_they_are_seen(page, address, ids):
    go(page, address, ids["bf, num_ignores=2"], "q10", "1")
    page.locator(".chain .katex").first.wait_for()
    assert page.evaluate("document.querySelector('.chain').textContent.length") > LONG
    formulas = page.evaluate("document.querySelectorAll('.chain .maths').length")
    before, now = 0, 1
    while before < now:  # until no more come
        page.wait_for_timeout(200)
        before, now = now, page.locator(".chain .katex").count()
    assert now < formulas / 4
    page.locator(".tools input").fill("needle")
    page.keyboard.press("Shift+Enter")
    assert here(page) == "needle"
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("n")
    page.keyboard.press("n")
    assert here(page) == "Wait"
    page.locator(".here", has_text="Wait").wait_for()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_every_part_is_accessible_and_fits(page, address, ids, scheme, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    forced, search = ids["bf, num_ignores=2"], ids["beam_search, samples=2"]
    for parts, query in (
        ((forced,), {}),
        ((forced, "q1", "1"), {"with": f"{ids['bf']}:1"}),
        ((search, "q1", "1"), {}),
    ):
        go(page, address, *parts, **query)
        page.wait_for_timeout(100)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_question_is_the_records_own(records, ids):
    assert records.row(ids["bf"], "q1", 1)["question"] == QUESTION
