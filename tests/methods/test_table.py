"""The table of methods: names, settings and what is said about wrong ones."""

from pathlib import Path

import pytest

from s1_eval.errors import UserError
from s1_eval.methods import METHODS, method, settings
from s1_eval.methods.method import Axes


def test_an_unknown_method_is_named_with_the_nearest_one():
    with pytest.raises(UserError, match="did you mean 'budget_forcing'"):
        method("budget_forcng")


def test_a_missing_required_setting_is_named():
    with pytest.raises(UserError, match="majority_vote needs samples"):
        settings("majority_vote", {})


@pytest.mark.parametrize("name", METHODS)
def test_settings_are_hashable_so_that_they_can_be_keys(name):
    axes = Axes(max_thinking_tokens=[64], steps=[4], samples=[4])
    needed = METHODS[name].sweep(name, axes)[0]
    assert hash(settings(name, needed)) == hash(settings(name, needed))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_does_and_has_its_line_in_the_documents(name):
    lines = (Path(__file__).parents[2] / "docs" / "methods.md").read_text("utf-8").split("\n")
    assert any(line.startswith(f"| `{name}` |") for line in lines)
    assert METHODS[name].summary.endswith(".")
    assert METHODS[name].paper
