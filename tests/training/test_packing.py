"""Examples that share a row never see each other: logits and gradients are those of each alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from s1_eval.engines.models import resolve_model
from s1_eval.errors import UserError
from s1_eval.training import sft
from s1_eval.training.examples import tokenize
from s1_eval.training.nano.source import Nano
from s1_eval.training.packing import leak, refuse_leaks, together
from s1_eval.training.recipe import Training


@pytest.fixture(scope="module")
def model() -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(resolve_model("nano")).eval()


@pytest.fixture(scope="module")
def rows() -> Any:
    tokenizer = sft.load_tokenizer(sft.Model(pretrained="nano"))
    return [tokenize(example, tokenizer) for example in Nano(examples=9, waits=(3, 2, 1))]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_the_logits_of_a_packed_pair_are_those_of_each_alone(model, rows, attention):
    model.set_attn_implementation(attention)
    pair = [torch.tensor([row["input_ids"]]) for row in rows[:2]]
    with torch.inference_mode():
        alone = torch.cat([model(ids, use_cache=False).logits for ids in pair], dim=1)
        packed = model(**together(pair), use_cache=False).logits
    assert (packed - alone).abs().max() < 1e-3 * alone.abs().max()
    leaking = torch.cat(pair, dim=1)
    with torch.inference_mode():
        wrong = model(leaking, use_cache=False).logits
    assert (wrong - alone).abs().max() > 0.1 * alone.abs().max(), "the test can tell a leak"


def test_a_row_without_padding_has_the_loss_and_the_mask_of_its_padded_rows(model, rows, tmp_path):
    from transformers import AutoTokenizer

    model.set_attn_implementation("sdpa")
    tokenizer = AutoTokenizer.from_pretrained(resolve_model("nano"))
    losses, learned = [], []
    for padding_free in (False, True):
        training = Training(
            1e-3, batch_size=4, micro_batch_size=4, bf16=False, padding_free=padding_free
        )
        trainer = sft.build_trainer(training, model, tokenizer, rows, tmp_path)
        batch = next(iter(trainer.get_train_dataloader()))
        labels = batch["labels"]
        learned.append(sorted(labels[labels != -100].tolist()))
        assert ("attention_mask" in batch) is not padding_free
        with torch.no_grad():
            losses.append(float(trainer.compute_loss(trainer.model.eval(), batch)))
    assert learned[0] == learned[1]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_an_attention_that_lets_examples_see_each_other_is_refused(model):
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    def blind(module, query, key, value, attention_mask, **kwargs):
        return sdpa_attention_forward(
            module, query, key, value, None, **kwargs | {"is_causal": True}
        )

    AttentionInterface.register("blind", blind)
    AttentionMaskInterface.register("blind", lambda *_, **__: None)
    assert leak(model.config, "sdpa") < 1e-4
    with pytest.raises(UserError, match=r"with attention=blind, qwen2 models see .* other exam"):
        refuse_leaks(model.config, "blind")
