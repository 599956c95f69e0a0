"""What is told of a question adds up to its record, id for id, by every method."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from s1_eval.engines import Sampling
from s1_eval.engines.transformers import TransformersEngine
from s1_eval.evaluation.opened import shared_verifier
from s1_eval.evaluation.run import open_run
from s1_eval.methods import METHODS, settings
from s1_eval.serve.events import Answered, Begun, Event, Grown, Pruned, Scored
from s1_eval.serve.observing import Observer

QUESTION = "Compute mod 100.\nS=47\nA*8\nB+5\nC*7*6"
SAMPLED = {"temperature": 1.0, "seed": 3}
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "budget_forcing": {"max_thinking_tokens": 80, "num_ignores": 2},
    "wrap_up": {"max_thinking_tokens": 60, "wrap_up_string": "So:\n"},
    "early_exit": {"first_checkpoint": 16, "agreeing": 2},
    "token_conditional": {"tokens": 64},
    "step_conditional": {"steps": 4, "max_thinking_tokens": 200},
    "class_conditional": {"length": "short"},
    "rejection_sampling": {"max_thinking_tokens": 40, "max_tries": 6},
    "majority_vote": {"samples": 5, "max_thinking_tokens": 60},
    "self_refine": {"rounds": 1},
    "sets": {"samples": 2, "rounds": 1},
    "confidence": {"samples": 4, "warm_up": 2, "keep": 0.5, "check_every": 16},
    "best_of_n": {"samples": 3},
    "beam_search": {"samples": 4, "beam_width": 2},
    "dvts": {"samples": 4, "beam_width": 2},
    "rebase": {"samples": 4},
}


@pytest.fixture(scope="module")
def nano() -> Iterator[TransformersEngine]:
    engine = TransformersEngine("nano")
    yield engine
    engine.close()


def solve(
    engine: Any, name: str, params: dict[str, Any], tokenwise: bool = True, **sampled: Any
) -> list[Event]:
    run = open_run(
        engine,
        harness="s1-eval",
        grader={"name": "integer"},
        method=METHODS[name],
        settings=settings(name, params),
        sampling=Sampling(**sampled),
        verifier=shared_verifier("nano-prm" if METHODS[name].verifier else None),
    )
    events: list[Event] = []

    async def observed() -> None:
        observer = Observer("q", run, events.append, tokenwise)
        outcome, row = await observer.run.solve("1", QUESTION, 1)
        observer.answered(outcome, row)

    asyncio.run(observed())
    return events


def as_told(events: list[Event]) -> dict[int, list[tuple[int, str, str]]]:
    """By chain: each id with its role and origin, as the events leave it."""
    chains: dict[int, list[tuple[int, str, str]]] = {}
    for event in events:
        if isinstance(event, Begun):
            parent = chains.get(event.parent, []) if event.parent is not None else []
            chains[event.chain] = parent[: event.at]
        elif isinstance(event, Grown):
            ids = chains[event.chain]
            ids[event.at :] = [(id, event.role, event.origin) for id in event.ids]
    return chains


@pytest.mark.parametrize(
    ("name", "tokenwise"),
    [*((name, True) for name in METHODS), ("budget_forcing", False), ("rebase", False)],
)
def test_what_is_told_is_what_the_record_has(
    nano: TransformersEngine, name: str, tokenwise: bool
) -> None:
    events = solve(nano, name, CASES[name], tokenwise, **SAMPLED)
    *_, last = events
    assert isinstance(last, Answered)
    told = as_told(events)
    assert None not in last.chains
    assert len({*last.chains}) == len(last.chains) == len(told)
    for chain, trace in zip(last.chains, last.record["traces"], strict=True):
        assert chain is not None
        assert told[chain] == [
            (id, segment["role"], segment["origin"])
            for segment in trace["segments"]
            for id in segment["ids"]
        ]
    length = {}
    for event in events:
        if isinstance(event, Begun):
            length[event.chain] = event.at
        elif isinstance(event, Grown):
            assert event.at == length[event.chain], "nothing is taken back"
            length[event.chain] += len(event.ids)


@pytest.mark.parametrize("name", ["plain", "budget_forcing"])
def test_a_chain_comes_token_by_token(nano: TransformersEngine, name: str) -> None:
    grown = [e for e in solve(nano, name, CASES[name]) if isinstance(e, Grown)]
    sampled = [e for e in grown if e.origin == "sampled"]
    assert sum(len(e.ids) == 1 for e in sampled) > 0.9 * len(sampled)
    thinking = "".join(e.text for e in grown if e.role == "thinking")
    ids = [id for e in grown if e.role == "thinking" for id in e.ids]
    assert thinking == nano.tokenizer.decode(ids, skip_special_tokens=False)


@pytest.mark.parametrize("name", ["beam_search", "dvts", "rebase"])
def test_a_search_is_a_tree_with_a_score_at_every_step(nano: TransformersEngine, name: str) -> None:
    events = solve(nano, name, CASES[name], **SAMPLED)
    last = events[-1]
    assert isinstance(last, Answered)
    forks = [e for e in events if isinstance(e, Begun) and e.parent is not None]
    pruned = {e.chain for e in events if isinstance(e, Pruned)}
    scored = [e for e in events if isinstance(e, Scored)]
    assert forks
    assert all(0 <= score <= 1 for e in scored for score in e.scores)
    assert {e.chain for e in scored} == {*last.chains}
    given_up = {
        chain
        for chain, trace in zip(last.chains, last.record["traces"], strict=True)
        if trace["exit_reason"] == "pruned"
    }
    assert pruned == given_up != set()
    early = [e for e in events if isinstance(e, Pruned) and e.seconds < last.seconds - 0.005]
    assert early, "a branch is told to be pruned when it is, not at the end"


def test_a_budget_of_the_whole_chain_is_kept(nano: TransformersEngine) -> None:
    for name in ("plain", "budget_forcing", "majority_vote"):
        run = open_run(
            nano,
            harness="s1-eval",
            grader={"name": "integer"},
            method=METHODS[name],
            settings=settings(name, {"samples": 2} if name == "majority_vote" else {}),
            sampling=Sampling(1.0, seed=1),
        )
        for limit in (1, 5, 30, 120):
            limited = replace(run, policy=replace(run.policy, max_tokens=limit))
            outcome, _ = asyncio.run(limited.solve("1", QUESTION, 1))
            for trace in outcome.traces:
                assert len(trace.ids(origin="sampled")) <= limit
                assert len(trace.ids()) <= max(limit, trace.forced_tokens)
                assert trace.exit_reason in ("budget", "natural", "eos")
