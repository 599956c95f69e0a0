"""Checkpoints of a training under way. One is written beside the others and renamed when it is
whole, so what is called `checkpoint-N` can be resumed from, whatever was killed or ran full.
transformers would resume from half of one, without the optimizer's state
(tests/training/test_trl.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from s1_eval.errors import UserError

PREFIX = "checkpoint-"
UNFINISHED = "saving"
"""The folder, beside the whole checkpoints, of the one that is being written."""


def newest(work: Path) -> Path | None:
    """The last whole checkpoint in `work`."""
    return max(work.glob(f"{PREFIX}*"), key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix(PREFIX))


def finish(work: Path) -> None:
    """Make the checkpoint in `work`/saving a whole one, and remove those before it, by another
    name: a kill while one is removed leaves none that looks whole."""
    saving = work / UNFINISHED
    [made] = saving.glob(f"{PREFIX}*")
    old = [path for path in work.glob(f"{PREFIX}*") if path.name != made.name]
    made.rename(work / made.name)
    for path in old:
        path.rename(saving / "old")
        shutil.rmtree(saving / "old")


@contextmanager
def writing(what: str, folder: Path, work: Path) -> Iterator[None]:
    """Turns a failure to write `what` into `folder` into one message, and leaves nothing
    half-written there. work: where checkpoints to resume from are."""
    from safetensors import SafetensorError
    from torch.distributed.checkpoint.api import CheckpointException

    try:
        yield
    # torch and safetensors have errors of their own for a full disk.
    except (OSError, RuntimeError, SafetensorError, CheckpointException) as error:
        at = folder if folder.exists() else folder.parent
        free = shutil.disk_usage(at).free
        if folder.name == UNFINISHED:
            shutil.rmtree(folder, ignore_errors=True)
        last = newest(work)
        went_on = (
            f"make room and start again with --resume, which goes on from step {step_of(last)}"
            if last
            else "make room, or give another --output, and start again"
        )
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"can't write {what} to {folder} ({type(error).__name__}: {reason}; "
            f"{free / 1e9:.1f} GB are free): {went_on}"
        ) from error
