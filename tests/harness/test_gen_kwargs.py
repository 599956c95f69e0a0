"""What lm-eval's --gen_kwargs ask for."""

from __future__ import annotations

from typing import Any

import pytest

from s1_eval.engines import Sampling
from s1_eval.errors import UserError
from s1_eval.harness.gen_kwargs import read_gen_kwargs
from s1_eval.methods.chain import BudgetForcing
from s1_eval.methods.plain import Plain
from s1_eval.methods.rejection_sampling import RejectionSampling

TASK = {"until": [], "do_sample": False}
"""What our task files ask for by themselves."""


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        ({}, Plain()),
        ({"max_gen_toks": 64}, Plain(max_tokens=64)),
        ({"max_thinking_tokens": 128}, BudgetForcing(max_thinking_tokens=128)),
        (
            {"max_tokens_thinking": "auto", "thinking_n_ignore": 2, "thinking_n_ignore_str": "Hmm"},
            BudgetForcing(max_thinking_tokens="auto", num_ignores=2, ignore_string="Hmm"),
        ),
        ({"min_tokens_thinking": 9}, BudgetForcing(min_thinking_tokens=9)),
        (
            {"thinking_start": "<t>", "thinking_end": "</t>", "until_thinking": "<u>"},
            BudgetForcing(thinking_format={"start": "<t>", "end": "</t>"}, until_thinking=("<u>",)),
        ),
        (
            {"num_ignores": 1, "max_gen_toks": 32},
            BudgetForcing(num_ignores=1, max_answer_tokens=32),
        ),
        ({"method": "budget_forcing"}, BudgetForcing()),
    ],
)
def test_our_names_and_the_references_give_the_same_settings(
    given: dict[str, Any], settings: object
) -> None:
    assert read_gen_kwargs({**TASK, **given}).settings == settings


def test_rejection_sample_is_a_method() -> None:
    given = {
        "rejection_sample": True,
        "max_tokens_thinking": 64,
        "temperature": 1,
        "do_sample": True,
    }
    asked = read_gen_kwargs({**TASK, **given})
    assert asked.method == "rejection_sampling"
    assert asked.settings == RejectionSampling(max_thinking_tokens=64)


def test_sampling_is_greedy_unless_both_switches_say_otherwise() -> None:
    assert read_gen_kwargs(TASK).sampling == Sampling()
    sampled = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 20, "seed": 5}
    assert read_gen_kwargs({**TASK, **sampled}).sampling == Sampling(0.6, 0.9, 20, 5)
    assert read_gen_kwargs({**TASK, "logprobs": 2}).sampling == Sampling(logprobs=2)
    for contradiction in ({"temperature": 1.0}, {"do_sample": True}, {"temperature_thinking": 1.0}):
        with pytest.raises(UserError, match="do_sample=True"):
            read_gen_kwargs({**TASK, **contradiction})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_tokens_thinkin": 5}, "did you mean 'max_tokens_thinking'"),
        ({"max_tries": 5}, "budget_forcing has no parameter 'max_tries'"),
        ({"max_tokens_thinking": 0}, "max_thinking_tokens=0: give a whole number"),
        ({"max_tokens_thinking": 5, "min_tokens_thinking": 9}, "is over max_thinking_tokens=5"),
        ({"max_tokens_thinking": 5, "max_thinking_tokens": 9}, "two names of one parameter"),
        ({"method": "budget_forcin"}, "did you mean 'budget_forcing'"),
        ({"thinking_start": "<t>"}, "give thinking_start and thinking_end together"),
        ({"max_gen_toks": 5, "max_tokens": 9}, "are one limit"),
        ({"rejection_sample": True, "method": "plain"}, "contradicts method=plain"),
    ],
)
def test_what_is_unknown_or_contradictory_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_gen_kwargs({**TASK, **given})
