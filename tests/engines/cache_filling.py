"""What the cache's tests ask for; in a file of its own, so that another process can import it."""

import asyncio
from multiprocessing.synchronize import Barrier
from pathlib import Path

from pseudo_model import PseudoEngine

from s1_eval.engines.cache import CachedEngine
from s1_eval.engines.protocol import Generation, Sampling, Stop

PROMPT = (2, 3, 4)
NEVER = Stop()


def ask(engine, prompt=PROMPT, *, max_tokens=40, stop=NEVER, sampling=Sampling()) -> Generation:
    return asyncio.run(engine.generate(prompt, max_tokens=max_tokens, stop=stop, sampling=sampling))


def fill(folder: Path, caps: list[int]) -> None:
    """Ask for several prompts at each cap, and hold the answers to the engine's own."""
    cached = CachedEngine(PseudoEngine(), folder)
    for cap in caps:
        for last in range(2, 7):
            want = ask(PseudoEngine(), (*PROMPT, last), max_tokens=cap)
            assert ask(cached, (*PROMPT, last), max_tokens=cap).ids == want.ids
    cached.close()


def open_new(folder: Path, number: int, together: Barrier) -> None:
    """Open so many new folders, each at the moment when others do."""
    for n in range(number):
        together.wait(60)
        CachedEngine(PseudoEngine(), folder / str(n)).close()
