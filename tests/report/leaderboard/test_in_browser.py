"""The leaderboard in a real browser, opened from the disk: by mouse and by keyboard, on a desk and
on a phone, light and dark."""

import pytest
import runs
from browsing import watched

from s1_eval.metrics import score
from s1_eval.report import curves
from s1_eval.report.leaderboard import build

pytestmark = pytest.mark.slow


@pytest.fixture
def page(browser, site):
    with watched(browser, (site / "index.html").as_uri(), "file:") as page:
        yield page


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


def test_the_address_holds_what_is_shown_and_back_goes_to_what_was(page, browser):
    page.locator("[data-filter=method]").select_option("budget_forcing")
    page.locator("#axis").select_option("generated")
    page.get_by_role("button", name="Scaling").click()
    page.locator("#legend button:visible").click()
    page.get_by_role("searchbox", name="Search").fill("bud")
    shown = browser.new_page()
    shown.goto(page.url)
    for each in (page, shown):
        assert each.locator("[data-filter=method]").input_value() == "budget_forcing"
        assert each.locator("#axis").input_value() == "generated"
        assert each.locator("th[aria-sort=descending]").inner_text().startswith("Scaling")
        assert each.locator("[data-sort-of=metrics]").input_value() == "-Scaling"
        assert each.get_by_role("searchbox", name="Search").input_value() == "bud"
        assert column(each, 2) == ["budget_forcing"]
        assert drawn(each) == []
    shown.close()
    page.go_back()  # the series is shown again
    assert drawn(page) == [3]
    page.go_back()
    assert page.locator("th[aria-sort]").count() == 0
    page.go_back()
    page.go_back()
    assert page.locator("[data-filter=method]").input_value() == ""
    assert page.locator("#shown").inner_text() == "2 of 2 series"


@pytest.mark.parametrize(
    "hash", ["#axis=none&runs=-no such&metrics=x", "#%E0%A4&&=&hide=<img src=x>"]
)
def test_an_address_of_anybody_elses_making_is_harmless(page, hash):
    page.goto(page.url + hash)
    page.reload()
    assert page.locator("#shown").inner_text() == "2 of 2 series"
    assert drawn(page) == [1, 3]
    assert page.locator("#axis").input_value() == "thinking"


def test_an_empty_result_says_so_and_leads_back(page):
    page.goto(f"{page.url}#method=gone&text=<b>")
    assert (
        page.locator("#empty")
        .inner_text()
        .startswith("No series has method “gone” and text “<b>”.")
    )
    assert not page.locator("table.sortable").first.is_visible()
    assert not page.locator("canvas").first.is_visible()
    page.get_by_role("button", name="Show all").click()
    assert page.locator("#empty").is_hidden()
    assert drawn(page) == [1, 3]
    page.go_back()
    assert page.locator("#empty").is_visible()


def test_on_a_phone_the_metrics_are_what_one_sees_first(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    assert not page.locator("[data-filter=method]").is_visible()
    row = page.locator("tr[data-counted]").first
    for heading in ("Performance %", "Control %", "Scaling"):
        box = row.locator(f"[data-heading='{heading}']").bounding_box()
        assert box["y"] + box["height"] < 844 / 2
        assert box["x"] + box["width"] <= 390
    page.get_by_text("Filter and sort").click()
    page.locator("[data-sort-of=metrics]").select_option("-Runs")
    assert page.locator("tr[data-counted] th").first.inner_text() == "budget_forcing"


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


@pytest.fixture(scope="module")
def crowded(browser, tmp_path_factory):
    """The page of many series, on a desk."""
    made = [
        runs.run(
            runs.graded(5 * m + n, 60), 20 * n + m, method=f"method_{m}", params={"samples": n}
        )
        for m in range(8)
        for n in (1, 2, 4)
    ]
    to = tmp_path_factory.mktemp("crowded")
    entries = score(made, resamples=20)
    build(made, entries, [], to)
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto((to / "index.html").as_uri())
    yield page, entries
    page.close()


def test_of_many_series_a_handful_is_coloured_as_in_the_pictures(crowded):
    page, entries = crowded
    sets = page.evaluate("chart.data.datasets.map((s) => [s.label, s.bars, s.borderColor])")
    [whole, *small] = curves.panels(curves.of_entries(entries))[0]
    assert {label: colour for label, bars, colour in sets if bars} == {
        curve.name: curves.PALETTE[curve.colour] for curve in whole.curves if curve.colour != "rest"
    }
    assert sum(bars for _, bars, _ in sets) == len(curves.COLOURED)
    assert page.locator(".small:visible strong").all_inner_texts() == [p.title for p in small]


def test_labels_beside_the_curves_do_not_collide(crowded):
    page, _ = crowded
    labels = page.evaluate("chart.labels")
    assert len(labels) >= len(curves.COLOURED)
    for i, one in enumerate(labels):
        for other in labels[:i]:
            assert abs(one["y"] - other["y"]) >= one["height"]
    assert max(each["x"] + each["width"] for each in labels) <= page.evaluate("chart.width")


def test_a_grey_series_shows_its_intervals_while_it_is_pointed_at(crowded):
    page, _ = crowded
    bars = "chart.data.datasets.filter((s) => s.bars).map((s) => s.label)"
    button = page.locator("#legend button").first
    name = button.inner_text().split(" ", 1)[1]
    assert name not in page.evaluate(bars)
    button.hover()
    assert name in page.evaluate(bars)
    page.mouse.move(0, 0)
    assert name not in page.evaluate(bars)


def until(page, condition):
    """Playwright's own waiting needs an `eval` that the page forbids."""
    for _ in range(1200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(condition)


def test_charts_are_made_when_they_come_into_view(browser, tmp_path):
    made = [
        runs.run(runs.graded(10 * n, 40), 20 * n, params={"samples": n}, model=f"model {m}")
        for m in range(12)
        for n in (1, 2)
    ]
    build(made, score(made, resamples=10), [], tmp_path)
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto((tmp_path / "index.html").as_uri())
    count = "Object.keys(Chart.instances).length"
    assert page.evaluate(count) < 6
    page.locator("canvas").last.scroll_into_view_if_needed()
    until(page, "panels.at(-1).chart?.data.datasets.length === 1")
    page.locator("[data-filter=model]").select_option("model 5")
    assert page.locator("canvas:visible").count() == 1
    page.locator("canvas:visible").scroll_into_view_if_needed()
    until(page, "panels.find((p) => !p.box.hidden).chart?.data.datasets.length === 1")
    page.close()


def test_a_series_alone_gets_a_colour(crowded):
    page, _ = crowded
    page.locator("[data-filter=method]").select_option("method_0")
    assert page.evaluate("chart.data.datasets.map((s) => s.bars)") == [True]
    assert page.locator(".small:visible").count() == 0
    page.go_back()


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
