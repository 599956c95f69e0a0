"""The table of methods: names, settings and what is said about wrong ones."""

import pytest

from s1_eval.errors import UserError
from s1_eval.methods import METHODS, method, settings


def test_an_unknown_method_is_named_with_the_nearest_one():
    with pytest.raises(UserError, match="did you mean 'budget_forcing'"):
        method("budget_forcng")


def test_a_missing_required_setting_is_named():
    with pytest.raises(UserError, match="majority_vote needs samples"):
        settings("majority_vote", {})


@pytest.mark.parametrize("name", METHODS)
def test_settings_are_hashable_so_that_they_can_be_keys(name):
    required = {
        "token_conditional": {"tokens": 64},
        "step_conditional": {"steps": 4},
        "class_conditional": {"length": "long"},
        "rejection_sampling": {"max_thinking_tokens": 64},
        "majority_vote": {"samples": 3},
        "best_of_n": {"samples": 3},
        "beam_search": {"samples": 3},
        "dvts": {"samples": 3},
        "rebase": {"samples": 3},
        "sets": {"samples": 3},
    }
    made = settings(name, required.get(name, {}))
    assert hash(made) == hash(settings(name, required.get(name, {})))
