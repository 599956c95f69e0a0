"""Advice as a text and as a picture: every policy with its figures, every question in the map."""

import pytest
from chains import swept

from s1_eval.metrics.advice import advise
from s1_eval.report import advice as report

EASY, HARD, FALLS = ["7"] * 4, ["1", "2", "3", "7"], ["7", "7", "7", "2"]


@pytest.fixture
def found():
    kinds = [EASY, HARD, FALLS, EASY]
    chosen = [kinds[q % 4] for q in range(24) for _ in (0, 1)]
    return advise(*swept(chosen, [8, 16, 32, None], [60] * 48, epochs=2))


def test_the_text_says_what_to_do_and_what_it_rests_on(found):
    said = report.markdown(found)
    assert said.startswith("**nano on toy, budget\\_forcing" if "\\_" in said[:40] else "**nano on")
    assert "24 questions x 2 epochs" in said
    assert found[0]["sentences"][0].split(" [")[0] in said
    assert "| no cap | 62 | 75.0 [" in said
    for name, share in (("Right at the largest budget", "75.0"), ("wrong at the largest", "25.0")):
        assert any(name in line and share in line for line in said.splitlines())
    assert "| 8 | 16 | 32 | none | never |" in said
    assert "| Questions | 12 | 0 | 0 | 6 | 6 |" in said
    assert "the best practical rule: " in said
    assert "95% intervals, over questions" in said


def test_the_picture_has_every_policy_and_every_question(found):
    drawn = report.figure(found)
    curves, questions, _ = drawn.axes[:3]
    labels = curves.get_legend_handles_labels()[1]
    assert labels == [
        "one budget for all",
        "a budget by difficulty, not charged",
        "the best practical rule",
        "oracle: knows which answers are right",
    ]
    line = curves.get_lines()[0]
    assert line.get_xdata().tolist() == [10, 18, 34, 62]
    assert line.get_ydata() == pytest.approx([75, 75, 75, 75])
    [image] = questions.get_images()
    assert image.get_array().shape == (24, 4)
    assert image.get_array()[0].tolist() == [100] * 4
    assert [tick.get_text() for tick in questions.get_xticklabels()] == ["8", "16", "32", "none"]


def test_a_hostile_name_is_text(found):
    found[0]["model"] = "<script>|$x$ `a`"
    said = report.markdown(found)
    assert "\\<script\\>\\|" in said
    report.figure(found).canvas.draw()


def test_files_are_written_and_a_folder_that_is_a_file_is_refused(found, tmp_path):
    report.write(found, "x", tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "advice.md",
        "advice.png",
        "advice.svg",
    }
    (tmp_path / "file").write_text("")
    with pytest.raises(report.UserError, match="choose another --out"):
        report.write(found, "x", tmp_path / "file")
