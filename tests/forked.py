"""Command lines of Python programs, each in a process of its own, which is forked from one that has
imported the harnesses: that takes most of such a command's time."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import resource
import runpy
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

IMPORTED = (
    *("inspect_ai._cli.main", "lm_eval._cli", "lm_eval.evaluator", "indexed"),
    *("s1_eval.engines.transformers", "s1_eval.evaluation.sweep", "s1_eval.harness.inspect_models"),
    *("s1_eval.harness.inspect_decorator", "s1_eval.harness.lm_eval_models"),
    *("transformers.models.qwen2.modeling_qwen2", "trl.trainer.sft_trainer"),
)


def run(
    program: str, *words: str, cwd: Path, largest_file: int | None = None
) -> subprocess.CompletedProcess[str]:
    """What `python -m MODULE WORDS…` or `python FILE.py WORDS…` leaves and says, from `cwd`.

    largest_file: bytes, where the disk is to seem full.
    """
    with TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = start(program, *words, cwd=cwd, out=out, err=err, largest_file=largest_file)
        process.join()
        said = [path.read_text("utf-8", "replace") for path in (out, err)]
    return subprocess.CompletedProcess([program, *words], process.exitcode or 0, *said)


def start(
    program: str,
    *words: str,
    cwd: Path,
    out: Path = Path(os.devnull),
    err: Path = Path(os.devnull),
    largest_file: int | None = None,
) -> BaseProcess:
    """The same, begun; it writes what it says to the files `out` and `err`."""
    arguments = (program, words, cwd, out, err, dict(os.environ), largest_file)
    process = _imported().Process(target=_command, args=arguments)
    process.start()
    return process


@cache
def _imported() -> ForkServerContext:
    """What forks. It lives as long as this process, and so does the folder where the data sets of
    all commands go: `datasets` reads its name when it is imported."""
    folder = TemporaryDirectory()
    atexit.register(folder.cleanup)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    paths = (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))
    set_there = {
        **{"HF_DATASETS_CACHE": folder.name, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    with mock.patch.dict(os.environ, set_there):
        context.Process(target=int).start()
    return context


def _command(
    program: str,
    words: tuple[str, ...],
    cwd: Path,
    out: Path,
    err: Path,
    environment: Mapping[str, str],
    largest_file: int | None,
) -> None:
    """What the command's own process does."""
    if largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
    for stream, path in ((1, out), (2, err)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, stream)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment, HF_HUB_OFFLINE="1")
    os.chdir(cwd)
    sys.path.insert(0, str(cwd))
    sys.argv = [program, *words]
    try:
        if program.endswith(".py"):
            runpy.run_path(program, run_name="__main__")
        else:
            runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit:
        raise
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.exit(1)
    finally:
        atexit._run_exitfuncs()  # which a forked process leaves out
