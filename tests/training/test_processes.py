# ruff: noqa: S603
"""Fine-tuning as processes that share, die and run out of disk: the result is that of one process
left alone, and nothing half-written looks whole."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import forked
import psutil
import pytest
import yaml

from s1_eval.training.checkpoints import newest

pytestmark = pytest.mark.slow

STEPS = 6
RECIPE = {
    "source": {"nano": {"examples": 42, "waits": [3, 2, 1]}},
    "model": {"pretrained": "nano"},
    "training": {
        **{"batch_size": 8, "micro_batch_size": 2, "learning_rate": 1e-3, "bf16": False},
        **{"logging_steps": 1, "save_steps": 1, "warmup_ratio": 0.2, "attention": "eager"},
        "gradient_checkpointing": True,
    },
}
MAIN = "s1_eval.training.main"
SHARDED = (
    *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
    str(Path(__file__).with_name("sharded_on_cpu.py")),
)
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
SMALL = 1_000_000
"""Bytes of the largest file where the disk is full as a checkpoint begins."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return folder


@pytest.fixture(scope="module")
def alone(folder: Path) -> Path:
    """The model that one process makes when nothing happens to it."""
    done = run(folder, "alone")
    assert done.returncode == 0, done.stderr
    return folder / "alone"


def words(folder: Path, name: str, *options: str) -> list[str]:
    return ["sft", str(folder / "recipe.yaml"), "--output", str(folder / name), *options]


def run(folder: Path, name: str, *options: str, **settings: Any) -> Any:
    return forked.run(MAIN, *words(folder, name, *options), cwd=folder, **settings)


def run_sharded(folder: Path, name: str, *options: str, program=SHARDED) -> Any:
    command = [*program, *words(folder, name, *options)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)


def killed(folder: Path, name: str, sharded: bool = False) -> None:
    """Start training and send SIGKILL to all its processes at a random moment after its first
    checkpoint and before its last step."""
    work = folder / f"{name}.partial" / "trainer"
    rng = random.Random()  # noqa: S311
    least = rng.randint(1, STEPS - 2)
    said = folder / f"{name}.log"
    if sharded:
        with said.open("w") as file:
            command = [*SHARDED, *words(folder, name)]
            process = psutil.Popen(command, stdout=file, stderr=file, env=ENVIRONMENT)
    else:
        begun = forked.start(MAIN, *words(folder, name), cwd=folder, out=said, err=said)
        process = psutil.Process(begun.pid)
    try:
        while not any(step(p) >= least for p in work.glob("checkpoint-*")):
            assert process.is_running(), said.read_text()
            assert process.status() != psutil.STATUS_ZOMBIE, said.read_text()
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.1))
    finally:
        for each in (process, *process.children(recursive=True)):
            each.kill()
        process.wait()


def step(checkpoint: Path) -> int:
    return int(checkpoint.name.rsplit("-", 1)[-1])


def weights(model: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(model / "model.safetensors")


def log(model: Path) -> Any:
    return json.loads((model / "training.json").read_text())


def losses(model: Path) -> list[float]:
    return [row["loss"] for row in log(model)["losses"]]


def test_a_killed_training_goes_on_to_the_same_weights_even_after_a_full_disk(folder, alone):
    killed(folder, "killed")
    assert not (folder / "killed").exists(), "what is not finished does not look like a model"

    again = run(folder, "killed")
    assert again.returncode == 2
    assert "was interrupted after step" in again.stderr
    assert "--resume" in again.stderr

    full = run(folder, "killed", "--resume", largest_file=SMALL)
    assert full.returncode == 2, full.stderr
    said = [line for line in full.stderr.splitlines() if line.startswith("s1-train: ")]
    assert len(said) == 1
    assert "can't write the checkpoint of step" in said[0]
    assert "start again with --resume, which goes on from step" in said[0]
    assert "Traceback" not in full.stderr
    assert not (folder / "killed.partial" / "trainer" / "saving").exists()

    resumed = run(folder, "killed", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    at = log(folder / "killed")["resumed_at"]
    shown = {int(n) for n in re.findall(rf"(\d+)/{STEPS} ", resumed.stderr)}
    assert at >= 1
    assert not shown & set(range(1, at + 1)), "no step is trained a second time"
    one, other = (model / "model.safetensors" for model in (alone, folder / "killed"))
    assert one.read_bytes() == other.read_bytes()
    assert losses(folder / "killed") == losses(alone)
    assert not (folder / "killed.partial").exists()


def test_a_disk_that_is_full_from_the_start_leaves_nothing(folder):
    done = run(folder, "full", largest_file=SMALL)
    assert done.returncode == 2
    assert "can't write the checkpoint of step 1" in done.stderr
    assert "make room, or give another --output" in done.stderr
    assert not list(folder.glob("full*"))


def test_two_processes_with_fsdp2_make_the_losses_and_weights_of_one_even_when_killed(
    folder, alone
):
    import torch

    killed(folder, "sharded", sharded=True)
    last = newest(folder / "sharded.partial" / "trainer")
    assert last is not None
    assert len(list(last.glob("pytorch_model_fsdp_0/__*.distcp"))) == 2, "a shard each"
    done = run_sharded(folder, "sharded", "--resume")
    assert done.returncode == 0, done.stderr
    sharded = folder / "sharded"
    assert log(sharded)["processes"] == 2
    assert losses(sharded) == pytest.approx(losses(alone), rel=1e-4)
    one, other = weights(alone), weights(sharded)
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.allclose(tensor, other[name], atol=1e-5), name


def test_a_batch_that_the_processes_cannot_divide_is_one_message(folder):
    done = run_sharded(folder, "three", program=(*SHARDED[:5], "3", SHARDED[6]))
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("s1-train: ")]
    assert len(said) == 1
    assert "can't be divided among 3 processes: start 2 processes" in said[0]


def test_processes_that_would_not_be_sharded_although_asked_are_refused(folder, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", "2")
    done = run(folder, "unsharded")
    assert done.returncode == 2
    assert "accelerate shards over several accelerators only" in done.stderr
    assert not list(folder.glob("unsharded*"))
