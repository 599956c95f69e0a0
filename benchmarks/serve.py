"""What a question costs through the gateway, over the same engine alone: nano in transformers.

    python benchmarks/serve.py

Budget forcing with two "Wait"s, 1, 32 and 256 clients, each of whom asks anew as soon as it is
answered. The gateway is `s1-eval serve` in a process of its own, asked by httpx over loopback; the
engine alone solves the same questions in this process, as many at once. In turns, the fastest of
each. Clients, server and engine share the machine's cores.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import httpx

from s1_eval.engines import Sampling
from s1_eval.engines.table import open_engine
from s1_eval.evaluation.benchmark import Sample, benchmark
from s1_eval.evaluation.run import open_run
from s1_eval.methods import METHODS, settings

SETTINGS = {"num_ignores": 2, "max_thinking_tokens": 256, "max_answer_tokens": 16}
CLIENTS = ((1, 6), (32, 64), (256, 256))
"""Clients, and questions of all together."""

ROUNDS = 2

Ask = Callable[[Sample], Awaitable[int]]


@contextmanager
def gateway() -> Iterator[str]:
    """The address of a gateway on nano."""
    given = [f"{name}={value}" for name, value in SETTINGS.items()]
    words = [word for each in given for word in ("-S", each)]
    command = [sys.executable, "-m", "s1_eval.cli.main", "serve", "--model", "s1_hf/nano"]
    command += ["--method", "budget_forcing", *words, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        said = ""
        while not (found := re.search(r"http://\S+/v1", said)):
            said = process.stderr.readline()
            assert said, "the gateway did not start"
        try:
            yield found[0]
        finally:
            process.terminate()
            process.stderr.read()


async def everyone(ask: Ask, samples: list[Sample], clients: int) -> float:
    """Seconds until all are answered, so many at once."""
    left = iter(samples)

    async def one() -> int:
        return sum([await ask(sample) for sample in left])

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one()) for _ in range(clients)]
    seconds = time.perf_counter() - began
    assert sum(task.result() for task in tasks) > len(samples)
    return seconds


def main() -> None:
    print(__doc__)
    nano = benchmark("nano")
    data = nano.load()
    samples = [data.samples[n % len(data.samples)] for n in range(CLIENTS[-1][1])]
    engine = open_engine("s1_hf", "nano")
    run = open_run(
        engine,
        harness="s1-eval",
        grader=nano.about(data)["grader"],
        method=METHODS["budget_forcing"],
        settings=settings("budget_forcing", SETTINGS),
        sampling=Sampling(),
    )

    async def alone(sample: Sample) -> int:
        outcome, _ = await run.solve(sample.id, sample.prompt, 1, sample.before)
        return outcome.generated_tokens

    def served(client: httpx.AsyncClient, stream: bool) -> Ask:
        async def ask(sample: Sample) -> int:
            messages = [*sample.before, {"role": "user", "content": sample.prompt}]
            body = {"model": "nano", "messages": messages, "temperature": 0, "stream": stream}
            reply = await client.post("/chat/completions", json=body)
            assert reply.status_code == 200, reply.text
            if stream:
                assert reply.text.endswith("data: [DONE]\n\n")
                return reply.text.count("data:")
            return int(reply.json()["usage"]["completion_tokens"])

        return ask

    async def measure(url: str) -> None:
        print(
            f"{'clients':>8}{'questions':>10}{'engine s':>9}{'gateway s':>10}{'ratio':>7}", end=""
        )
        print(f"{'streamed s':>11}{'ratio':>7}")
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as client:
            ways = (alone, served(client, False), served(client, True))
            for clients, questions in CLIENTS:
                taken: list[list[float]] = [[], [], []]
                for _ in range(ROUNDS):
                    for way, seconds in zip(ways, taken, strict=True):
                        seconds.append(await everyone(way, samples[:questions], clients))
                engine_s, whole, streamed = map(min, taken)
                print(f"{clients:8}{questions:10}{engine_s:9.2f}{whole:10.2f}", end="")
                print(
                    f"{whole / engine_s:7.2f}{streamed:11.2f}{streamed / engine_s:7.2f}", flush=True
                )

    with gateway() as url:
        asyncio.run(measure(url))
    engine.close()


if __name__ == "__main__":
    main()
