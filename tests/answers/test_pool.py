"""Workers answer, or are ended, and the pool goes on."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from s1_eval.answers.pool import Failed, Pool
from s1_eval.errors import UserError

HERE = str(Path(__file__).parent)


@pytest.fixture
def unruly(monkeypatch):
    """A pool with one worker that misbehaves on request, and low limits."""
    monkeypatch.setenv("PYTHONPATH", HERE)
    pool = Pool(1, processor_seconds=1, seconds=60, megabytes=600, module="unruly_worker")
    yield pool
    pool.close()


def echo(pool, say="hello"):
    return pool.ask({"do": "echo", "say": say})


@pytest.mark.parametrize(
    "text", ["", "ünï\u2028 \x00 \ud800 😀", "x" * 200_000], ids=["empty", "odd", "long"]
)
def test_any_text_goes_there_and_back(unruly, text):
    assert echo(unruly, text)["said"] == text


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ({"do": "compute"}, "took more than 1 s of processor time"),
        ({"do": "wait"}, "took longer than 1 s"),
        ({"do": "exit"}, "the worker died"),
        ({"do": "allocate", "megabytes": 5_000}, "took too much memory"),
    ],
)
def test_a_worker_at_its_limit_is_replaced(unruly, question, reason):
    before = echo(unruly)["worker"]
    unruly.seconds = 1 if question["do"] == "wait" else 60
    with pytest.raises(Failed, match=reason):
        unruly.ask(question)
    unruly.seconds = 60
    after = echo(unruly)["worker"]
    assert after != before
    assert not alive(before)


@pytest.mark.parametrize(
    ("question", "reason"),
    [({"do": "recurse"}, "nested too deeply"), ({"do": "raise"}, "^ValueError while deciding$")],
)
def test_an_error_fails_the_question_and_not_the_worker(unruly, question, reason):
    before = echo(unruly)["worker"]
    with pytest.raises(Failed, match=reason):
        unruly.ask(question)
    assert echo(unruly)["worker"] == before


def test_a_worker_that_grew_large_gives_its_memory_back(unruly):
    before = echo(unruly)["worker"]
    assert unruly.ask({"do": "allocate", "megabytes": 450}) == {"held": 450 << 20}
    assert not alive(before)
    assert echo(unruly)["worker"] != before


def test_a_worker_of_a_large_parent_is_not_taken_for_large(unruly):
    held = b"x" * (600 << 20)  # Linux lets a child's peak begin at its parent's
    before = echo(unruly)["worker"]
    assert echo(unruly)["worker"] == before
    assert held


def test_what_libraries_print_is_no_reply(unruly):
    assert unruly.ask({"do": "print"}) == {"said": "clean"}
    assert echo(unruly)["said"] == "hello"


def test_threads_get_the_replies_to_their_own_questions(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", HERE)
    pool = Pool(2, module="unruly_worker")
    with ThreadPoolExecutor(16) as threads:
        replies = list(threads.map(lambda n: echo(pool, str(n)), range(400)))
    assert [reply["said"] for reply in replies] == [str(n) for n in range(400)]
    assert len(pool.workers()) <= 2
    pool.close()


async def test_an_event_loop_goes_on_while_a_worker_thinks(unruly):
    waiting = asyncio.create_task(asyncio.to_thread(unruly.ask, {"do": "compute"}))
    ticks = 0
    while not waiting.done():
        await asyncio.sleep(0.01)
        ticks += 1
    with pytest.raises(Failed):
        await waiting
    assert ticks > 10


def test_an_interrupted_question_leaves_no_reply_behind(unruly):
    def interrupt(*_):
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise KeyboardInterrupt

    echo(unruly)
    before = signal.signal(signal.SIGALRM, interrupt)
    # Again and again: one that comes just before the waiting begins does not end it.
    signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
    with pytest.raises(KeyboardInterrupt):
        unruly.ask({"do": "wait"})
    signal.signal(signal.SIGALRM, before)
    assert echo(unruly, "mine")["said"] == "mine"


def test_a_worker_that_does_not_start_is_no_verdict():
    with pytest.raises(UserError, match=r"does not start.* -m no_such_module 1024"):
        Pool(1, module="no_such_module").ask({})


def test_files_of_the_working_directory_shadow_nothing(tmp_path, monkeypatch):
    for name in ("sympy", "math_verify", "s1_eval", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    pool = Pool(1)
    assert pool.ask({"read": ["x + 1"]}) == {"problem": ""}
    pool.close()


def test_workers_end_with_their_parent(tmp_path):
    script = (
        "import os, signal\n"
        "from s1_eval.answers.pool import shared_pool\n"
        "shared_pool().ask({'read': ['x']})\n"
        "print(*shared_pool().workers(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)  # noqa: S603
    (worker,) = (int(pid) for pid in found.stdout.split())
    deadline = time.monotonic() + 120
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(worker)


def test_a_forked_process_starts_workers_of_its_own():
    script = (
        "import os, sys\n"
        "from s1_eval.answers.pool import shared_pool\n"
        "ask = lambda: shared_pool().ask({'read': ['x']}) and shared_pool().workers()\n"
        "mine = ask()\n"
        "if os.fork() == 0:\n"
        "    print('child', *ask(), flush=True)\n"
        "    sys.exit()\n"
        "os.wait()\n"
        "print('parent', *mine, *ask(), flush=True)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)  # noqa: S603
    child, parent = (line.split()[1:] for line in found.stdout.splitlines())
    assert len(child) == 1
    assert len(parent) == 2
    assert parent[0] == parent[1] != child[0]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"
