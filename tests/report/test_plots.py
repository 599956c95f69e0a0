"""The pictures show every run where it belongs, and the same runs give the same bytes."""

import re
import xml.etree.ElementTree as ET
from importlib import resources
from itertools import pairwise

import pytest
import runs

from s1_eval.metrics import score
from s1_eval.records import Located, collect
from s1_eval.report import curves as curves_module
from s1_eval.report import plots


def curves(figure, panel=0):
    """{label: [(x, y), …]} as drawn."""
    axes = figure.axes[panel]
    handles, labels = axes.get_legend_handles_labels()
    return {
        label: list(zip(*(map(float, data) for data in handle.lines[0].get_data()), strict=True))
        for handle, label in zip(handles, labels, strict=True)
    }


def test_a_point_is_a_runs_mean_thinking_tokens_and_accuracy(entries):
    drawn = curves(plots.accuracy_vs_thinking_tokens(entries))
    tokens, accuracy = zip(*drawn["budget_forcing by max_thinking_tokens"], strict=True)
    assert tokens == (32, 64, 128, 256)
    assert accuracy == pytest.approx((40 / 3, 30, 50, 200 / 3))
    assert set(drawn) == {
        "plain",
        "budget_forcing by max_thinking_tokens",
        "budget_forcing by num_ignores",
    }


def test_error_bars_are_the_95_percent_intervals(entries):
    figure = plots.accuracy_vs_thinking_tokens(entries)
    [bars] = [
        handle.lines[2][0].get_segments()
        for handle, label in zip(*figure.axes[0].get_legend_handles_labels(), strict=True)
        if label == "plain"
    ]
    [[(_, low), (_, high)]] = bars
    [interval] = [e["points"][0]["accuracy"] for e in entries if e["method"] == "plain"]
    assert (low, high) == pytest.approx((interval["low"], interval["high"]))


def test_the_axis_is_log2_with_plain_numbers(entries):
    figure = plots.accuracy_vs_thinking_tokens(entries)
    figure.canvas.draw()
    axis = figure.axes[0].xaxis
    assert axis.get_transform().base == 2
    labels = [tick.get_text() for tick in axis.get_ticklabels()]
    assert {"32", "64", "128", "256"} <= set(labels)
    assert "thinking tokens per question" in axis.get_label_text()


def test_the_legend_covers_no_point(entries):
    figure = plots.accuracy_vs_thinking_tokens(entries)
    figure.canvas.draw()
    axes = figure.axes[0]
    assert axes.get_legend().get_window_extent().y1 < axes.get_window_extent().y0


def test_total_compute_counts_discarded_samples(demo):
    record = runs.record(method="rejection_sampling")
    row = {**runs.row(record, thinking=8), "generated_tokens": 1000, "verifier_tokens": 24}
    made = score(collect([Located(row, "f", "f", record)]), resamples=50)
    figure = plots.accuracy_vs_generated_tokens(made)
    assert curves(figure)["rejection_sampling"] == [(1024.0, 100.0)]
    assert "generated and verifier tokens" in figure.axes[0].get_xlabel()


def test_the_unprompted_run_stands_apart_from_the_line():
    lengths = [
        runs.run([True, False], n, method="class_conditional", params={"length": length})
        for n, length in ((5, "short"), (7, "default"), (9, "long"))
    ]
    drawn = curves(plots.accuracy_vs_thinking_tokens(score(lengths, resamples=50)))
    assert [x for x, _ in drawn["class_conditional by length"]] == [5, 9]
    assert [x for x, _ in drawn["class_conditional, unprompted"]] == [7]


def test_runs_that_did_not_think_are_counted_not_drawn():
    none = [runs.run([True, False], 0, method="plain")]
    figure = plots.accuracy_vs_thinking_tokens(score(none, resamples=50))
    assert curves(figure) == {}
    assert "runs without any (1) are not shown" in figure.axes[0].get_xlabel()


def test_each_model_and_task_has_axes_of_its_own():
    both = [runs.run([True, False], 5, task=task) for task in ("one", "two")]
    figure = plots.accuracy_vs_thinking_tokens(score(both, resamples=50))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["nano on one", "nano on two"]


def test_the_same_entries_give_the_same_bytes(entries, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        plots.save(plots.accuracy_vs_thinking_tokens(entries), tmp_path / name / "x")
    for suffix in ("x.png", "x.svg"):
        one, two = ((tmp_path / name / suffix).read_bytes() for name in ("one", "two"))
        assert one == two
    assert one.startswith(b"<?xml")
    assert b"<dc:date>" not in one
    assert b'clipPath id="x-clip-0"' in one
    assert not re.search(rb"p[0-9a-f]{10}", one)  # a hash of numbers that differ by process


@pytest.mark.parametrize("name", ["$\\frac{$", "</svg><script>x</script>", "a & b", "x" * 500])
def test_names_from_records_are_text(name, tmp_path):
    made = score([runs.run([True, False], 5, model=name, method=name)], resamples=50)
    plots.save(plots.accuracy_vs_thinking_tokens(made), tmp_path / "x")
    tree = ET.parse(tmp_path / "x.svg")  # noqa: S314  (our own file)
    assert not [e for e in tree.iter() if e.tag.endswith("script")]


def test_drawing_touches_no_global_state(entries):
    import matplotlib

    before = dict(matplotlib.rcParams)
    plots.inline_svg(plots.accuracy_vs_thinking_tokens(entries), "x")
    assert dict(matplotlib.rcParams) == before


@pytest.fixture(scope="module")
def many():
    """Entries of eight methods, whose curves lie close together."""
    made = [
        runs.run(
            runs.graded(4 * m + n, 60), 20 * n + m, method=f"method_{m}", params={"samples": n}
        )
        for m in range(8)
        for n in (1, 2, 4)
    ]
    return score(made, resamples=20)


def boxes(axes, kind):
    """What texts of a kind cover: names beside curves, or dials beside runs."""
    from matplotlib.text import Annotation, Text

    texts = [text for text in axes.texts if isinstance(text, Annotation)]
    chosen = [text for text in texts if (text.arrow_patch is not None) == (kind == "names")]
    return [Text.get_window_extent(text) for text in chosen]


def test_of_many_series_the_best_five_are_coloured_and_the_rest_grey(many):
    figure = plots.accuracy_vs_thinking_tokens(many)
    whole, *small = figure.axes
    handles, labels = whole.get_legend_handles_labels()
    colours = {
        label: handle.lines[0].get_color() for handle, label in zip(handles, labels, strict=True)
    }
    grey = curves_module.PALETTE["rest"]
    assert {label for label, colour in colours.items() if colour != grey} == {
        f"method_{m} by samples" for m in range(3, 8)
    }
    assert len(set(colours.values())) == 1 + len(curves_module.COLOURED)
    assert [bool(handle.lines[2]) for handle in handles] == [c != grey for c in colours.values()]
    assert [axes.get_title(loc="left") for axes in small] == [f"method_{m}" for m in range(8)]


def test_a_series_has_one_colour_in_all_panels(many):
    whole, *small = curves_module.panels(curves_module.of_entries(many))[0]
    kept = {curve.name: curve.colour for curve in whole.curves if curve.colour != "rest"}
    for panel in small:
        [own] = [curve for curve in panel.curves if curve.colour != "rest"]
        assert own.method == panel.title
        assert own.colour == kept.get(own.name, own.colour)


@pytest.mark.parametrize("kind", ["names", "dials"])
def test_labels_do_not_collide(many, entries, kind):
    alike = [
        runs.run(runs.graded(30, 60), 20 * n, method=f"method_{m}", params={"samples": n})
        for m in range(4)
        for n in (1, 2)
    ]
    found = 0
    for made in (many, entries, score(alike, resamples=20)):
        for axes in plots.accuracy_vs_generated_tokens(made).axes:
            drawn = boxes(axes, kind)
            found += len(drawn)
            for i, one in enumerate(drawn):
                assert not one.count_overlaps(drawn[:i])
            if kind == "names" and drawn:
                assert min(box.x0 for box in drawn) > axes.get_window_extent().x1
    assert found >= 8


def test_labels_keep_their_order_and_their_distance():
    wanted = [50.0, 51.0, 49.0, 99.0, 0.0]
    places = curves_module.spread(wanted, 10, 0, 100)
    assert sorted(range(5), key=lambda i: places[i]) == sorted(range(5), key=lambda i: wanted[i])
    ordered = sorted(places)
    assert all(b - a >= 10 for a, b in pairwise(ordered))
    assert 0 <= ordered[0] <= ordered[-1] <= 100


def test_accuracy_is_drawn_over_every_cost_that_is_known(entries):
    spots = [spot for curve in curves_module.of_entries(entries) for spot in curve.spots]
    assert all(spot.at["seconds"] == pytest.approx(0.25) for spot in spots)
    data = curves_module.as_data(curves_module.of_entries(entries))
    assert [axis["name"] for axis in data["axes"]] == ["thinking", "generated", "seconds"]
    figure = plots.accuracy_over("seconds", entries)
    assert figure.axes[0].get_xlabel() == "Mean seconds per question (log2 scale)"
    assert [x for x, _ in curves(figure)["plain"]] == pytest.approx([0.25])


def test_colours_are_there_for_dark_paper_too():
    style = resources.files("s1_eval.report").joinpath("style.css").read_text("utf-8")
    dark = style.partition("prefers-color-scheme: dark")[2].partition("}")[0]
    assert all(f"--{name}: #" in dark for name in curves_module.PALETTE)


@pytest.mark.slow
def test_a_picture_of_many_models_is_made_too(tmp_path, monkeypatch):
    made = [
        runs.run(
            runs.graded(m, 10), 8 * n, method=f"method_{m}", params={"samples": n}, model=model
        )
        for model in "abcde"
        for m in range(6)
        for n in (1, 2)
    ]
    figure = plots.accuracy_vs_thinking_tokens(score(made, resamples=20))
    assert len(figure.axes) == 5
    monkeypatch.setattr(plots, "_TALLEST", 1000)
    plots.save(figure, tmp_path / "x")
    height = int.from_bytes((tmp_path / "x.png").read_bytes()[20:24], "big")
    assert 900 < height <= 1000
