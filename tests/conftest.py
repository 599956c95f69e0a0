"""Fixtures that several rooms share."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import chromium

ROOT = Path(__file__).parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: one that is begun last keeps the other processes waiting."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_sessionfinish() -> None:
    gc.unfreeze()


@pytest.fixture(autouse=True, scope="module")
def frozen_heap() -> None:
    """Modules stay: a collection (statsmodels' own too) need not walk torch's and vLLM's again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real benchmarks and real model outputs; tests that read it skip without it."""
    folder = Path(os.environ.get("S1_EVAL_DATA") or ROOT.parent / "shared" / "data").resolve()
    if not (folder / "benchmarks").is_dir():
        pytest.skip(f"no benchmarks in {folder}: set S1_EVAL_DATA to a folder that has them")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Its event loop ends with the module: others want their own."""
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def pseudo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder without weights: configuration and tokenizer."""
    from pseudo_model import PIECES
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import GlmConfig, PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({piece: id for id, piece in enumerate(PIECES)}))
    longest_first = sorted(PIECES, key=len, reverse=True)
    inner.pre_tokenizer = pre_tokenizers.Split(
        Regex("|".join(re.escape(piece) for piece in longest_first)), "isolated"
    )
    inner.decoder = decoders.Fuse()
    folder = tmp_path_factory.mktemp("pseudo")
    GlmConfig().save_pretrained(folder)  # a kind of model without a tokenizer class of its own
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, extra_special_tokens=["<|im_start|>"]
    )
    tokenizer.eos_token = "<|im_end|>"
    tokenizer.save_pretrained(folder)
    return folder
