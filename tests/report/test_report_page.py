"""The page holds all of the report in one file that asks for nothing from outside."""

import re
from html.parser import HTMLParser

import pytest
import runs

from s1_eval import report
from s1_eval.errors import UserError
from s1_eval.metrics import score
from s1_eval.records import Located, collect
from s1_eval.report import pages, table

VOID = {"meta", "link", "br", "img", "input", "hr", "path", "use", "rect"}


class Page(HTMLParser):
    """Tags, attributes and text; raises on tags that do not nest."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.cells, self.open = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        if tag == "td":
            self.cells.append([dict(attrs).get("class"), ""])

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if "td" in self.open:
            self.cells[-1][1] += data


@pytest.fixture(scope="module")
def page(entries, demo):
    return pages.page(entries, demo)


def test_the_page_is_well_formed_and_has_table_pictures_and_audit(page):
    parsed = Page(page)
    assert parsed.tags.count("svg") == 2
    assert parsed.tags.count("table") == 1 + 3  # the metrics, and an audit for each series
    assert "budget_forcing by num_ignores" in page


def test_nothing_is_asked_from_outside(page):
    parsed = Page(page)
    assert not {"script", "link", "iframe", "img", "object"} & set(parsed.tags)
    targets = [value for name, value in parsed.attributes if name in ("src", "href", "xlink:href")]
    assert all(target.startswith("#") for target in targets)
    assert not re.search(r"url\((?!#)", page)
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_ids_are_unique_across_the_pictures_or_mean_the_same(page):
    clips = re.findall(r'<clipPath id="([^"]+)"', page)
    assert len(clips) == len(set(clips))


def test_dark_and_light_take_the_pages_own_colours(page):
    assert "prefers-color-scheme: dark" in page
    assert page.count("#24292f") == 1  # where the light theme defines it
    assert "var(--ink)" in page


def test_a_run_over_its_limit_is_red_and_no_other():
    two = [
        runs.run([True, True], [8, 30], params={"max_thinking_tokens": 20}, budget=20),
        runs.run([True, True], [8, 40], params={"max_thinking_tokens": 40}, budget=40),
    ]
    parsed = Page(pages.page(score(two, resamples=50), two))
    assert [text for style, text in parsed.cells if style == "bad"] == ["1", "30"]


def test_the_command_and_the_versions_are_there():
    run = runs.run([True, False], 5, command=["s1-eval", "sweep", "--out", "my runs"])
    page = pages.page(score([run], resamples=50), [run])
    assert "s1-eval sweep --out &#39;my runs&#39;" in page
    assert "5.19.0" in page
    assert run.id in page


def test_runs_of_one_setup_are_told_once(page):
    assert page.count("<details") == 1


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><img src=x onerror=y>', "{{7*7}}"]
)
def test_whatever_a_record_holds_stays_text(name):
    run = runs.run(
        [True, False],
        5,
        model=name,
        method=name,
        params={name: name},
        command=[name],
        grader={"name": name},
    )
    page = pages.page(score([run], resamples=50), [run])
    parsed = Page(page)
    assert not {"script", "img"} & set(parsed.tags)
    assert "49" not in re.findall(r"<h2>.*</h2>", page)[0]


@pytest.mark.parametrize(
    "value",
    ["\ud800", "\x1b[31m", "$\\frac{", [1, [2]], {"a": 1}, "9" * 5000, 10**400, -1, True],
    ids=lambda value: type(value).__name__,
)
def test_settings_of_any_kind_reach_the_page_as_text(value):
    dials = ("length", "min_thinking_tokens", "max_thinking_tokens", "tokens")
    two = [
        runs.run([True, False], n, method="class_conditional", params=params)
        for n, params in ((5, dict.fromkeys(dials, value)), (9, dict.fromkeys(dials, "other")))
    ]
    made = score(two, resamples=20)
    assert "\x1b" not in table.text(made) + pages.page(made, two)


def test_rows_without_a_run_record_make_a_page_too():
    found = collect([Located(runs.row(runs.record()), "f", "f", None)])
    assert "does not hold the command" in pages.page(score(found, resamples=50), found)


def test_write_leaves_the_whole_report(tmp_path, demo, entries):
    report.write(demo, tmp_path / "new" / "folder", entries)
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        "accuracy_vs_generated_tokens.png",
        "accuracy_vs_generated_tokens.svg",
        "accuracy_vs_thinking_tokens.png",
        "accuracy_vs_thinking_tokens.svg",
        "report.html",
        "table.md",
        "table.txt",
    ]


def test_a_lone_surrogate_does_not_stop_the_report(tmp_path):
    run = runs.run([True, False], 5, command=["\ud800"])
    report.write([run], tmp_path, score([run], resamples=50))
    assert "\\ud800" in (tmp_path / "report.html").read_text("utf-8")


def test_a_file_where_the_folder_should_be_is_named(tmp_path, demo, entries):
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError, match="choose another --out"):
        report.write(demo, tmp_path / "out", entries)
