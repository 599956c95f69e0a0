"""The lowest and the newest transformers of our range decode the embedded model to the same ids."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

PROGRAM = """
import asyncio, json, transformers
from s1_eval.engines import Sampling, Stop
from s1_eval.engines.transformers import TransformersEngine
from s1_eval.training.nano.problems import held_out

engine = TransformersEngine("nano")

async def ids(at, problem):
    prompt = engine.tokenizer.apply_chat_template(
        [{"role": "user", "content": problem.question}], tokenize=False, add_generation_prompt=True
    )
    found = await engine.generate(
        engine.tokenizer.encode(prompt + "<|im_start|>think", add_special_tokens=False),
        max_tokens=60, stop=Stop(engine.info.eos_ids),
        sampling=Sampling(temperature=at % 2, seed=at),
    )
    return [*found.ids, *found.stop_ids]

async def all_ids():
    return await asyncio.gather(*(ids(at, problem) for at, problem in enumerate(held_out(8))))

print(json.dumps([transformers.__version__, asyncio.run(all_ids())]))
engine.close()
"""


def decoded(folder: Path, *packages: str) -> tuple[str, list[list[int]]]:
    """The version and the ids of an interpreter that has these packages before its own."""
    environment = {k: v for k, v in os.environ.items() if k != "PIP_CONSTRAINT"}
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile")
    subprocess.run(  # noqa: S603
        [*pip, "--target", str(folder), *packages], check=True, env=environment
    )
    environment |= {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    version, ids = json.loads(done.stdout.splitlines()[-1])
    return version, ids


@pytest.mark.slow
def test_lowest_and_newest_transformers_decode_to_the_same_ids(tmp_path):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    api = project["optional-dependencies"]["api"]
    ranges = {line.partition(">=")[0]: line for line in api}
    lowest = [
        ranges[name].partition(",")[0].replace(">=", "==")
        for name in ("tokenizers", "transformers")
    ]
    # The first transformers of the range takes no later huggingface-hub.
    old, ids = decoded(tmp_path / "lowest", *lowest, "huggingface-hub<2")
    new, others = decoded(tmp_path / "newest", ranges["transformers"])
    assert old != new
    assert ids == others
    assert len({tuple(row) for row in ids}) == len(ids)
    assert min(map(len, ids)) > 5
