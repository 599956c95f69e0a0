"""What is done by hand beside TRL and transformers, and why: each test shows what the library's own
way would make of it. A test that fails says that the hand-made part can go."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from s1_eval.training import sft
from s1_eval.training.batches import micro_batches, plan_batches
from s1_eval.training.checkpoints import UNFINISHED, newest
from s1_eval.training.examples import IGNORED, tokenize
from s1_eval.training.reasoning import Reasoning
from s1_eval.training.recipe import Training

ROW = {"question": "Find 1 + 1.", "thinking": "Wait, it is 2.", "attempt": "It is 2."}


def prepared(tokenizer: Any, folder: Path, written: str, out: Path, **settings: Any) -> Any:
    """The first row that TRL makes of a conversation by itself, None where it drops it."""
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    row = {
        "prompt": [{"role": "user", "content": ROW["question"]}],
        "completion": [{"role": "assistant", "content": written}],
    }
    made = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder),
        args=SFTConfig(output_dir=str(out), use_cpu=True, bf16=False, report_to=[], **settings),
        train_dataset=Dataset.from_list([row]),
        processing_class=tokenizer,
    ).train_dataset
    return made[0] if len(made) else None


def learned(row: Any, tokenizer: Any) -> str:
    ids = [id for id, label in zip(row["input_ids"], row["labels"], strict=True) if label >= 0]
    return str(tokenizer.decode(ids, skip_special_tokens=False))


def test_a_chat_template_takes_the_thinking_out_of_what_is_to_be_learned(
    qwen, qwen_folder, tmp_path
):
    """`transcript` writes what follows the generation prompt, and not the template."""
    import copy

    import trl

    tokenizer = copy.deepcopy(qwen)
    templates = Path(trl.__file__).parent / "chat_templates"
    tokenizer.chat_template = (templates / "deepseek_r1_distill.jinja").read_text()
    written = f"<think>\n{ROW['thinking']}\n</think>\n\n{ROW['attempt']}"
    assert "Wait" not in learned(prepared(tokenizer, qwen_folder, written, tmp_path), tokenizer)
    source = Reasoning("data", thinking_format="think_tags")
    [example] = source.render([ROW], tokenizer, "x")
    assert "Wait" in learned(tokenize(example, tokenizer), tokenizer)


def test_the_library_learns_more_than_a_turn(qwen, qwen_folder, tmp_path):
    """Generation ends at the end of the turn; the template writes a line end after it, which would
    be learned as well."""
    written = f"<|im_start|>think\n{ROW['thinking']}\n<|im_start|>answer\n{ROW['attempt']}"
    theirs = prepared(qwen, qwen_folder, written, tmp_path)
    [example] = Reasoning("data").render([ROW], qwen, "x")
    ours = tokenize(example, qwen)
    assert theirs["input_ids"][:-1] == ours["input_ids"]
    assert learned(theirs, qwen) == learned(ours, qwen) + "\n"


def test_the_library_drops_and_cuts_examples_without_a_word(qwen, qwen_folder, tmp_path):
    """`fitted` refuses, or cuts where the recipe allows it, and counts."""
    assert prepared(qwen, qwen_folder, "x " * 500, tmp_path, max_length=5) is None
    cut = prepared(qwen, qwen_folder, "x " * 500, tmp_path, max_length=300)
    assert len(cut["input_ids"]) == 300
    assert cut["labels"][-1] != IGNORED


def test_the_library_shows_some_examples_twice_on_many_processes():
    """`plan_batches` and `micro_batches` deal every example out once, a filler without loss beside
    it where a process has none."""
    from accelerate.data_loader import BatchSamplerShard
    from torch.utils.data import BatchSampler, SequentialSampler

    batches = BatchSampler(SequentialSampler(range(1000)), 1, drop_last=False)
    shards = [BatchSamplerShard(batches, 16, process) for process in range(16)]
    theirs = Counter(row for shard in shards for batch in shard for row in batch)
    assert sum(theirs.values()) == 1008
    training = Training(1e-5, batch_size=16)
    plan = plan_batches(training, [1] * 1000)
    ours = Counter(row for batch in micro_batches(plan, 16, filler=1000) for row in batch)
    assert ours == Counter(range(1000)) + Counter({1000: 8})


@pytest.mark.slow
def test_the_library_resumes_from_a_checkpoint_that_a_kill_cut_short(tmp_path):
    """And without its optimizer's state it goes on from none, silently. `checkpoints` writes beside
    and renames what is whole."""
    from transformers.trainer_utils import get_last_checkpoint

    from s1_eval.training.nano.source import Nano

    tokenizer = sft.load_tokenizer(sft.Model(pretrained="nano"))
    rows = [tokenize(example, tokenizer) for example in Nano(examples=8, waits=(1,))]
    training = Training(1e-3, batch_size=4, epochs=2, save_steps=1, bf16=False)
    model = sft.build_model(sft.Model(pretrained="nano"), tokenizer, 0)
    trainer = sft.build_trainer(training, model, tokenizer, rows, tmp_path)
    trainer.train()
    whole = newest(tmp_path)
    assert whole is not None
    (tmp_path / UNFINISHED).mkdir(exist_ok=True)
    half = tmp_path / UNFINISHED / "checkpoint-5"
    half.mkdir()
    for name in ("model.safetensors", "config.json", "trainer_state.json", "scheduler.pt"):
        os.link(whole / name, half / name)
    assert newest(tmp_path) == whole
    half.rename(tmp_path / "theirs-5")
    (tmp_path / "trl").mkdir()
    (tmp_path / "theirs-5").rename(tmp_path / "trl" / "checkpoint-5")
    found = get_last_checkpoint(str(tmp_path / "trl"))
    assert found == str(tmp_path / "trl" / "checkpoint-5")
    trainer.create_optimizer()
    trainer.optimizer.state.clear()
    trainer._load_optimizer_and_scheduler(found)
    assert not trainer.optimizer.state
