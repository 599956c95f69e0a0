"""Which runs a sweep's comma lists become."""

from __future__ import annotations

import pytest

from s1_eval.errors import UserError
from s1_eval.evaluation.plan import Axes, PlannedRun, plan, plan_settings
from s1_eval.methods import METHODS, settings


def runs(methods: str, **axes):
    return [(run.method.name, dict(run.params)) for run in plan(methods.split(","), Axes(**axes))]


def test_caps_and_ignores_are_two_series_the_longest_first():
    assert runs("budget_forcing", max_thinking_tokens=[32, 64], num_ignores=[0, 1]) == [
        ("budget_forcing", {"num_ignores": 1}),
        ("budget_forcing", {"num_ignores": 0}),
        ("budget_forcing", {"max_thinking_tokens": 64}),
        ("budget_forcing", {"max_thinking_tokens": 32}),
    ]


def test_a_single_cap_holds_for_every_number_of_ignores():
    assert runs("budget_forcing", max_thinking_tokens=[64], num_ignores=[0, 2]) == [
        ("budget_forcing", {"max_thinking_tokens": 64, "num_ignores": 2}),
        ("budget_forcing", {"max_thinking_tokens": 64, "num_ignores": 0}),
    ]


def test_a_grid_is_every_cap_with_every_number():
    grid = runs("budget_forcing", max_thinking_tokens=[32, 64], num_ignores=[0, 1], grid=True)
    assert len(grid) == 4


def test_conditional_methods_run_alone_and_enforced():
    assert runs("token_conditional,step_conditional", max_thinking_tokens=[64], steps=[4]) == [
        ("token_conditional", {"tokens": 64}),
        ("token_conditional", {"tokens": 64, "max_thinking_tokens": 64}),
        ("step_conditional", {"steps": 4}),
        ("step_conditional", {"steps": 4, "max_thinking_tokens": 400}),
    ]


def test_rejection_sampling_begins_with_its_largest_cap():
    caps = [
        p["max_thinking_tokens"]
        for _, p in runs("rejection_sampling", max_thinking_tokens=[8, 64, 16])
    ]
    assert caps == [64, 16, 8]


@pytest.mark.parametrize(
    ("given", "caps"),
    [
        ("2^5..2^7", [128, 64, 32]),
        ("16..48:16", [48, 32, 16]),
        (range(16, 49, 16), [48, 32, 16]),
        (["2^5..2^6", 8, None], [None, 64, 32, 8]),
    ],
)
def test_a_range_of_numbers_is_the_list_of_them(given, caps):
    made = plan_settings(["budget_forcing"], {"max_thinking_tokens": given})
    assert [run.settings.max_thinking_tokens for run in made] == caps


def test_a_range_that_is_none_is_refused_and_a_text_is_no_range():
    with pytest.raises(UserError, match=r"write 32\.\.64:STEP"):
        plan_settings(["budget_forcing"], {"max_thinking_tokens": "32..64"})
    with pytest.raises(UserError, match="an empty list"):
        plan_settings(["budget_forcing"], {"max_thinking_tokens": range(0)})
    [run] = plan_settings(["budget_forcing"], {"ignore_string": "hm..", "max_thinking_tokens": 8})
    assert run.settings.ignore_string == "hm.."


def test_class_conditional_brings_the_default_run_it_is_held_against():
    lengths = [params["length"] for _, params in runs("class_conditional")]
    assert lengths == ["short", "default", "long"]


def test_no_two_runs_share_a_folder():
    axes = Axes(max_thinking_tokens=["auto", None, 64], num_ignores=[0, 2], steps=[2], samples=[4])
    planned = plan(
        ["plain", "budget_forcing", "token_conditional", "step_conditional", "majority_vote"], axes
    )
    assert len({run.slug for run in planned}) == len(planned)


@pytest.mark.parametrize(
    ("methods", "axes", "says"),
    [
        ("majority_vote", {}, "majority_vote needs --samples"),
        ("step_conditional", {}, "step_conditional needs --steps"),
        ("rejection_sampling", {"max_thinking_tokens": ["auto"]}, "needs --max-thinking-tokens"),
        ("majority_vote", {"samples": [0]}, "samples=0"),
        ("budget_forcing", {"max_thinking_tokens": [0]}, "max_thinking_tokens=0"),
        ("budget_focing", {}, "did you mean 'budget_forcing'"),
        ("plain", {"params": {"num_ignores": 1}}, "plain has no parameter 'num_ignores'"),
    ],
)
def test_bad_plans_are_refused_before_anything_is_loaded(methods, axes, says):
    with pytest.raises(UserError, match=says):
        runs(methods, **axes)


def test_every_width_is_a_run_of_its_own_the_widest_first():
    assert runs("beam_search,sets", samples=[4, 16]) == [
        ("beam_search", {"samples": 16}),
        ("beam_search", {"samples": 4}),
        ("sets", {"samples": 16}),
        ("sets", {"samples": 4}),
    ]


def test_a_parameter_reaches_the_methods_that_have_it():
    params = {"beam_width": 2, "max_answer_tokens": 9}
    assert runs("majority_vote,dvts", samples=[4], params=params) == [
        ("majority_vote", {"max_answer_tokens": 9, "samples": 4}),
        ("dvts", {"beam_width": 2, "max_answer_tokens": 9, "samples": 4}),
    ]


def test_a_parameter_that_no_method_has_is_refused():
    with pytest.raises(UserError, match="no parameter 'beam_widht'"):
        plan(["majority_vote", "dvts"], Axes(samples=[4], params={"beam_widht": 2}))


def test_methods_that_search_say_so():
    needs = {
        run.method.name: run.needs_verifier for run in plan(["rebase", "sets"], Axes(samples=[2]))
    }
    assert needs == {"rebase": True, "sets": False}


def test_folders_are_short_plain_and_differ_wherever_the_settings_do():
    long = "Wait " * 60
    axes = [Axes(num_ignores=[1, 2], params={"ignore_string": long + end}) for end in "abAB/é…"]
    made = [run.slug for each in axes for run in plan(["budget_forcing"], each)]
    assert len({slug.lower() for slug in made}) == 14
    assert all(
        len(slug) <= 100 and set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789=_-")
        for slug in made
    )


def test_what_is_asked_for_twice_is_one_run():
    assert len(plan(["budget_forcing"], Axes(num_ignores=[0, 0]))) == 1


@pytest.mark.parametrize(
    ("name", "params", "slug"),
    [
        ("plain", {}, "plain-3159e8914e"),
        ("budget_forcing", {}, "budget_forcing-7db76ebe63"),
        ("token_conditional", {"tokens": 64}, "token_conditional_tokens=64-c58418169a"),
        ("step_conditional", {"steps": 4}, "step_conditional_steps=4-3fc9f0e041"),
        ("class_conditional", {"length": "short"}, "class_conditional_length=short-85f6f3a155"),
        (
            "rejection_sampling",
            {"max_thinking_tokens": 64},
            "rejection_sampling_max_thinking_tokens=64-3ca11eb5d2",
        ),
        ("majority_vote", {"samples": 4}, "majority_vote_samples=4-e84bdf572b"),
        ("best_of_n", {"samples": 4}, "best_of_n_samples=4-2877b99fb0"),
        ("beam_search", {"samples": 4}, "beam_search_samples=4-924c438c90"),
        ("dvts", {"samples": 4}, "dvts_samples=4-b90a913f73"),
        ("rebase", {"samples": 4}, "rebase_samples=4-876388e2a5"),
        ("self_refine", {}, "self_refine-09d99d1db3"),
        ("sets", {"samples": 4}, "sets_samples=4-b94c377ae0"),
        (
            "beam_search",
            {
                "max_thinking_tokens": 32,
                "num_ignores": 2,
                "until_thinking": ["x"],
                "thinking_format": {"start": "<r>", "end": "</r>"},
                "samples": 8,
                "beam_width": 2,
                "reduce": "min",
                "max_steps": 5,
            },
            "beam_search_max_thinking_tokens=32_num_ignores=2_samples=8_beam_width=2_reduce=m-"
            "f72626d452",
        ),
    ],
)
def test_folders_and_so_ids_of_recorded_runs_stay(name, params, slug):
    """The hash is one of the name and all settings, as records have them: `method_params`."""
    assert PlannedRun(METHODS[name], params, settings(name, params)).slug == slug
