"""The leaderboard in a real browser, opened from the disk: by mouse and by keyboard, on a desk and
on a phone, light and dark."""

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def page(browser, site):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda said: said.type == "error" and page.wrong.append(said.text))
    page.on(
        "request",
        lambda asked: asked.url.startswith("file:") or page.wrong.append(f"asked {asked.url}"),
    )
    page.goto((site / "index.html").as_uri())
    yield page
    assert page.wrong == []
    assert page.title() != "owned"
    context.close()


def column(page, number):
    rows = page.locator("table.sortable").first.locator("tbody tr:visible")
    return [row.locator("th, td").nth(number).inner_text() for row in rows.all()]


def drawn(page):
    return page.evaluate("chart.data.datasets.map((set) => set.data.length)")


def test_a_heading_sorts_by_mouse_and_by_keyboard(page):
    heading = page.get_by_role("button", name="Thinking tokens")
    heading.click()
    assert column(page, 9) == ["150", "73"]
    heading.press("Enter")
    assert column(page, 9) == ["73", "150"]
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("Thinking tokens")


def test_filters_narrow_table_plot_and_audit(page):
    page.locator("[data-filter=method]").select_option("budget_forcing")
    assert page.locator("#shown").inner_text() == "1 of 2 series"
    assert column(page, 2) == ["budget_forcing"]
    assert drawn(page) == [3]
    page.get_by_role("searchbox", name="Search").fill("nothing like it")
    assert page.locator("#shown").inner_text() == "0 of 2 series"
    assert drawn(page) == []


def test_a_series_is_toggled_in_the_plot(page):
    assert drawn(page) == [1, 3]
    button = page.locator("#legend button").first
    button.press("Space")
    assert button.get_attribute("aria-pressed") == "false"
    assert drawn(page) == [3]
    button.click()
    assert drawn(page) == [1, 3]


def test_the_plot_can_show_every_token_paid_for(page):
    before = page.evaluate("chart.data.datasets[0].data[0].x")
    page.locator("#axis").select_option("generated")
    assert page.evaluate("chart.data.datasets[0].data[0].x") > before


def test_a_question_opens_and_shows_its_traces(page):
    page.get_by_role("link", name="toy: 40 questions").click()
    page.get_by_role("link").nth(3).click()
    page.locator("summary").nth(1).click()
    shown = page.locator("pre.trace").nth(1)
    assert "3+4 is 7. </script>" in shown.inner_text()
    assert "\\x1b[2J" in shown.inner_text()
    assert shown.locator("mark").all_inner_texts()[-1] == "Wait"


def test_an_over_budget_run_is_marked(page):
    assert page.locator("#audit ~ .scroll td.bad").all_inner_texts() == ["40", "70"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_is_accessible_and_fits(page, scheme, width, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    start = page.url
    for part in ("index.html", "questions/0/index.html", "questions/0/0.html"):
        page.goto(start.replace("index.html", part))
        for summary in page.locator("summary").all()[:3]:
            summary.click()
        found = axe.run(page).response["violations"]
        assert [(v["id"], [n["target"] for n in v["nodes"]][:3]) for v in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.goto(start)
    page.wait_for_function("chart.width > 0")
    page.screenshot(path=tmp_path / f"{scheme}-{width}.png", full_page=True)
    assert (tmp_path / f"{scheme}-{width}.png").stat().st_size > 20_000
