"""nano under other formats' templates: the same accuracy and the same counts as in its own."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from s1_eval.answers import grader
from s1_eval.engines import Generation, Sampling, Stop
from s1_eval.engines.cache import CachedEngine
from s1_eval.engines.table import open_engine
from s1_eval.evaluation.benchmark import benchmark
from s1_eval.methods import METHODS, Policy, Question, settings
from s1_eval.thinking import Thinking

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.thinking is defined %}START{{ m.thinking }}END{{ m.content }}CLOSE"
    "{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\nOPENED{% endif %}"
)
FORMATS = {
    # name: (start, end, what closes the answer, whether the prompt opens the thinking)
    "tags": ("<think>\n", "\n</think>\n\n", "", False),
    "tags, opened": ("<think>\n", "\n</think>\n\n", "", True),
    "bare tags": ("<think>", "</think>", "", False),
    "harmony": (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
        "",
        False,
    ),
    "seed": ("<seed:think>", "</seed:think>\n", "", False),
    "mistral": ("[THINK]", "[/THINK]", "", True),
    "cohere": (
        "<|START_THINKING|>",
        "<|END_THINKING|><|START_RESPONSE|>",
        "<|END_RESPONSE|>",
        False,
    ),
    "hunyuan": ("<think>\n", "\n</think>\n<answer>\n", "\n</answer>", False),
}
TAGS = (
    *("<think>", "</think>", "<answer>", "</answer>", "<|channel|>", "<|message|>", "<|end|>"),
    *("<|start|>", "<seed:think>", "</seed:think>", "[THINK]", "[/THINK]"),
    *("<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"),
)
SETTINGS = (
    {"max_thinking_tokens": 16},
    {"max_thinking_tokens": 64},
    {"num_ignores": 1},
    {"num_ignores": 2, "max_thinking_tokens": 100, "final_answer_nudge": ""},
)


class Translated:
    """nano, spoken to in another format: that format's delimiters stand for its own."""

    def __init__(self, engine: Any, name: str) -> None:
        start, end, close, opened = FORMATS[name]
        self.engine = engine
        self.tokenizer = copy.deepcopy(engine.tokenizer)
        self.tokenizer.add_special_tokens({"additional_special_tokens": list(TAGS)})
        self.tokenizer.chat_template = (
            TEMPLATE.replace("START", start)
            .replace("END", end)
            .replace("CLOSE", close)
            .replace("OPENED", start if opened else "")
        )
        self.info = replace(engine.info, context_length=engine.info.context_length + 64)
        own = Policy.bind(engine).delimiters
        theirs = Policy.bind(self).delimiters
        assert theirs.format.start == start
        self._pairs = ((theirs.start, own.start), (theirs.end, own.end))
        self._stop = next(iter(own.stop_ids))
        self._ends = theirs.stop_ids
        self._newline = own.newline

    async def generate(
        self, prompt: Sequence[int], *, max_tokens: int, stop: Stop, sampling: Sampling
    ) -> Generation:
        ids = frozenset(i for i in stop.ids - self._ends if i < len(self.engine.tokenizer))
        own = replace(stop, ids=ids | {self._stop} if stop.ids & self._ends else ids, strings=())
        translated = self._own(tuple(prompt))
        room = self.engine.info.context_length - len(translated)
        found = await self.engine.generate(
            translated, max_tokens=min(max_tokens, room), stop=own, sampling=sampling
        )
        back = next(iter(self._ends))
        return replace(
            found, stop_ids=tuple(back if i == self._stop else i for i in found.stop_ids)
        )

    def close(self) -> None:
        pass

    def _own(self, ids: tuple[int, ...]) -> list[int]:
        found: list[int] = []
        at = 0
        ended = False
        while at < len(ids):
            for number, (theirs, own) in enumerate(self._pairs):
                if ids[at : at + len(theirs)] == theirs:
                    ended = number == 1
                    if ended and not self.tokenizer.decode(found[-1:]).endswith("\n"):
                        found += self._newline
                    found += own
                    at += len(theirs)
                    break
            else:
                # The nudge is on a line of its own, which an end of theirs may have begun.
                if ended and not self.tokenizer.decode([ids[at]]).startswith("\n"):
                    found += self._newline
                ended = False
                found.append(ids[at])
                at += 1
        return found


@pytest.fixture(scope="module")
def nano(tmp_path_factory):
    engine = CachedEngine(open_engine("s1_hf", "nano"), tmp_path_factory.mktemp("cache"))
    yield engine
    engine.close()


def rows(engine: Any, params: dict[str, Any]) -> list[tuple[Any, ...]]:
    bound = Policy.bind(engine)
    judge = grader("integer")
    chosen = settings("budget_forcing", params)

    async def one(sample: Any) -> tuple[Any, ...]:
        question = Question(sample.id, sample.prompt, judge)
        outcome = await METHODS["budget_forcing"].run(bound, question, chosen)
        right = judge.grade(outcome.answer, sample.target).correct
        return (
            right,
            outcome.answer,
            outcome.thinking_tokens,
            outcome.answer_tokens,
            outcome.num_ignores_used,
            outcome.exit_reason,
        )

    async def everything() -> list[tuple[Any, ...]]:
        return list(await asyncio.gather(*map(one, benchmark("nano").load(None).samples[:8])))

    return asyncio.run(everything())


@pytest.fixture(scope="module")
def own(nano):
    """Of each settings: its rows in its own format."""
    found = [rows(nano, params) for params in SETTINGS]
    assert all(any(right for right, *_ in each) for each in found[1:])
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_model_in_another_format_does_the_same(nano, own, name):
    translated = Translated(nano, name)
    assert [rows(translated, params) for params in SETTINGS] == own


def test_what_is_known_of_the_format_is_found_not_told(nano):
    found: Thinking = Policy.bind(Translated(nano, "cohere")).thinking
    assert (found.source, found.format.answer_close) == ("template", "<|END_RESPONSE|>")
