"""Steps and who works on what: the paper's 315 steps and its learning rate, the same batches on any
number of processes."""

from __future__ import annotations

import random
from math import cos, pi
from pathlib import Path

import pytest

from s1_eval.errors import UserError
from s1_eval.training import batches, sft
from s1_eval.training.batches import count_steps, micro_batches, parts, plan_batches
from s1_eval.training.examples import IGNORED
from s1_eval.training.recipe import Training, load

RECIPES = Path(__file__).parents[2] / "training" / "recipes"
S1 = load(RECIPES / "s1_32b.yaml").training


def test_a_thousand_examples_make_the_papers_315_steps_of_16_with_16_to_warm_up():
    plan = plan_batches(S1, [100] * 1000)
    assert len(plan) == count_steps(S1, 1000) == 315
    assert S1.warmup(315) == 16
    for epoch in range(5):
        steps = plan[63 * epoch : 63 * (epoch + 1)]
        assert [len(step) for step in steps] == [16] * 62 + [8]
        assert sorted(i for step in steps for i in step) == list(range(1000))
    assert plan[0] != plan[63], "every epoch has its own order"


def test_the_learning_rate_rises_for_16_steps_to_1e_5_and_falls_as_a_cosine_to_0(tmp_path):
    import torch
    from transformers import TrainingArguments, get_scheduler

    said = sft.arguments(S1, 315, tmp_path)
    args = TrainingArguments(**said | {"bf16": False})
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=args.learning_rate)
    scheduler = get_scheduler(
        args.lr_scheduler_type, optimizer, args.get_warmup_steps(315), num_training_steps=315
    )
    rates = []
    for _ in range(316):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    paper = [
        1e-5 * (step / 16 if step < 16 else (1 + cos(pi * (step - 16) / 299)) / 2)
        for step in range(316)
    ]
    assert rates == pytest.approx(paper, abs=1e-12)
    assert (rates[0], rates[16], rates[315]) == pytest.approx((0, 1e-5, 0), abs=1e-12)


@pytest.mark.parametrize("processes", [1, 2, 8, 16])
def test_every_step_has_the_same_rows_on_any_number_of_processes(processes):
    plan = plan_batches(S1, [100] * 1000)
    count = parts(S1, processes)
    dealt = micro_batches(plan, count, filler=1000)
    assert len(dealt) == 315 * count
    assert count % processes == 0
    for n, step in enumerate(plan):
        mine = [row for micro in dealt[n * count : (n + 1) * count] for row in micro]
        assert sorted(row for row in mine if row != 1000) == sorted(step)
    assert max(map(len, dealt)) == 1


def test_a_filler_carries_no_loss():
    rows = [{"input_ids": [1, 2, 3], "labels": [1, 2, 3]}, {"input_ids": [4, 5], "labels": [4, 5]}]
    assert batches.filler(rows) == {"input_ids": [4, 5], "labels": [IGNORED, IGNORED]}


def test_a_batch_that_the_processes_cannot_divide_is_refused():
    with pytest.raises(UserError, match=r"16 micro-batches .* among 3 processes: start 2 proc"):
        parts(S1, 3)
    with pytest.raises(UserError, match="among 32 processes: start 16 processes"):
        parts(S1, 32)
    with pytest.raises(UserError, match="batch_size=6 can't be divided into micro-batches of"):
        Training(1e-5, batch_size=6, micro_batch_size=4)


def test_without_padding_a_batch_of_tokens_holds_as_many_as_fit():
    rng = random.Random(0)  # noqa: S311
    lengths = [rng.randint(5, 300) for _ in range(2000)]
    planned = batches.batches(lengths, 1024, seed=1, padding_free=True)
    assert sorted(i for batch in planned for i in batch) == list(range(2000))
    held = [sum(lengths[i] for i in batch) for batch in planned]
    assert max(held) <= 1024
    assert sum(held) / len(held) > 0.85 * 1024
