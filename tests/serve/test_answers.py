"""What clients get of the gateway: answers by every method, with the records that a sweep has."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from served import ASKED, Served, serving

from s1_eval.engines import Sampling
from s1_eval.engines.cache import CachedEngine
from s1_eval.engines.transformers import TransformersEngine
from s1_eval.evaluation.benchmark import benchmark
from s1_eval.evaluation.opened import shared_verifier
from s1_eval.evaluation.run import open_run, run_samples
from s1_eval.methods import METHODS, settings
from s1_eval.records.readers import MAY_DIFFER
from s1_eval.records.run import run_record
from s1_eval.typed import flat_fields

SEEDED = {"temperature": 1.0, "seed": 7}
SAME: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("plain", {}, {}),
    ("budget_forcing", {"max_thinking_tokens": 96, "num_ignores": 2}, {}),
    ("budget_forcing", {"max_thinking_tokens": 96, "num_ignores": 1}, SEEDED),
    ("rejection_sampling", {"max_thinking_tokens": 64, "max_tries": 8}, SEEDED),
    ("majority_vote", {"samples": 3, "max_thinking_tokens": 96}, SEEDED),
    ("beam_search", {"samples": 4, "beam_width": 2}, SEEDED),
    ("self_refine", {"rounds": 1}, {}),
]


@pytest.fixture
def client(nano_served: Served) -> OpenAI:
    return OpenAI(base_url=f"{nano_served.url}/v1", api_key="none", max_retries=0)


def test_the_list_of_models_has_every_method_that_can_be_used(nano_served: Served) -> None:
    cards = {card["id"]: card for card in nano_served.client.get("/v1/models").json()["data"]}
    assert list(cards) == ["nano", *(f"nano:{name}" for name in METHODS)]
    assert cards["nano"]["s1_eval"]["method"] == "budget_forcing"
    assert cards["nano:majority_vote"]["s1_eval"]["needs"] == ["samples"]
    one = nano_served.client.get("/v1/models/nano:plain")
    assert one.json() == cards["nano:plain"]
    assert nano_served.client.get("/v1/models/other").status_code == 404


@pytest.mark.parametrize(
    ("name", "params", "sampled"), SAME, ids=[f"{n}{'*' if s else ''}" for n, _, s in SAME]
)
@pytest.mark.parametrize("stream", [False, True])
def test_records_are_those_of_a_sweep(
    nano_served: Served,
    nano: TransformersEngine,
    name: str,
    params: dict[str, Any],
    sampled: dict[str, Any],
    stream: bool,
) -> None:
    task = benchmark("nano")
    data = task.load()
    run = open_run(
        nano,
        harness="s1-eval",
        grader=task.about(data)["grader"],
        method=METHODS[name],
        settings=settings(name, params),
        sampling=Sampling(**sampled),
        verifier=shared_verifier("nano-prm" if METHODS[name].verifier else None),
    )
    rows: list[dict[str, Any]] = []
    todo = [(sample, epoch) for sample in data.samples[:2] for epoch in (1, 2)]
    asyncio.run(run_samples(run, run_record(run.held, task.about(data)), todo, rows.append))  # type: ignore[arg-type]
    by_place = {(row["sample_id"], row["epoch"]): row for row in rows}
    for sample in data.samples[:2]:
        body = {
            "messages": [*sample.before, {"role": "user", "content": sample.prompt}],
            "n": 2,
            **sampled,
            "s1_eval": {
                "method": name,
                **{n: 0 for n in ("num_ignores",) if n in flat_fields(METHODS[name].settings)},
                **params,
                "sample_id": sample.id,
                "grader": run.held["grader"],
                "target": sample.target,
                "record": True,
            },
        }
        found = nano_served.chunks(**body) if stream else [nano_served.answer(**body)]
        told = [c["s1_eval"]["record"] for each in found for c in each["choices"] if "s1_eval" in c]
        for got in told:
            row = by_place.pop((got["sample_id"], got["epoch"]))
            differ = {k for k in {*row, *got} if row.get(k) != got.get(k)}
            assert differ <= MAY_DIFFER | {"run_id", "harness", "task"}
    assert not by_place


def test_the_openai_client_reads_an_answer_and_what_stands_beside_it(client: OpenAI) -> None:
    reply = client.chat.completions.create(model="nano", messages=ASKED, temperature=0)  # type: ignore[arg-type]
    message = reply.choices[0].message
    trace = reply.s1_eval["trace"]  # type: ignore[attr-defined]
    by_role = {
        role: "".join(s["text"] for s in trace["segments"] if s["role"] == role)
        for role in ("thinking", "answer")
    }
    assert message.reasoning_content == by_role["thinking"]  # type: ignore[attr-defined]
    assert message.content == by_role["answer"].strip()
    forced = [s["text"] for s in trace["segments"] if s["origin"] == "forced"]
    assert "Wait" in forced
    usage = reply.usage
    assert usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens_details.cached_tokens <= usage.prompt_tokens  # type: ignore[union-attr,operator]
    sampled = [s for s in trace["segments"] if s["origin"] == "sampled"]
    ids = {role: sum(len(s["ids"]) for s in sampled if s["role"] == role) for role in by_role}
    assert usage.completion_tokens_details.reasoning_tokens == ids["thinking"]  # type: ignore[union-attr]
    assert usage.completion_tokens == ids["thinking"] + ids["answer"] + trace["stripped"]
    assert usage.forced_tokens == sum(  # type: ignore[attr-defined]
        len(s["ids"]) for s in trace["segments"] if s["origin"] == "forced"
    )


def test_usage_counts_what_chains_have_in_common_once(nano_served: Served) -> None:
    for name in ("majority_vote", "beam_search", "rejection_sampling"):
        asked = {"samples": 4, "num_ignores": 1} if name != "rejection_sampling" else {}
        asked |= {"max_thinking_tokens": 60} if name == "rejection_sampling" else {}
        body = {"s1_eval": {"method": name, "record": True, **asked}, "temperature": 1, "seed": 1}
        reply = nano_served.answer(**body)
        usage, record = reply["usage"], reply["s1_eval"]["record"]
        assert usage["completion_tokens"] == record["generated_tokens"]
        stripped = sum(trace["stripped"] for trace in record["traces"])
        reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
        answers = sum(
            len(s["ids"])
            for trace in record["traces"]
            for s in trace["segments"]
            if s["role"] == "answer"
        )
        assert 0 <= usage["completion_tokens"] - reasoning - answers <= stripped
        assert usage["verifier_tokens"] == record["verifier_tokens"]
        assert usage["discarded_tokens"] <= usage["completion_tokens"]
        assert (usage["discarded_tokens"] > 0) == (name != "majority_vote")


def test_the_openai_client_survives_the_stream_of_any_method(client: OpenAI) -> None:
    for name, params in (("budget_forcing", {}), ("best_of_n", {"samples": 2})):
        asked: dict[str, Any] = {"model": f"nano:{name}", "messages": ASKED, "seed": 3}
        extra = {"s1_eval": params}
        whole = client.chat.completions.create(**asked, extra_body=extra)
        text, thinking, ended, events, usage = "", "", "", 0, None
        for chunk in client.chat.completions.create(
            **asked, extra_body=extra, stream=True, stream_options={"include_usage": True}
        ):
            usage = chunk.usage or usage
            events += "event" in (getattr(chunk, "s1_eval", None) or {})
            for choice in chunk.choices:
                text += choice.delta.content or ""
                thinking += getattr(choice.delta, "reasoning_content", None) or ""
                ended += choice.finish_reason or ""
        assert text == whole.choices[0].message.content
        assert thinking == whole.choices[0].message.reasoning_content
        assert ended == "stop"
        assert usage == whole.usage
        assert (events > 0) == (name == "best_of_n")


@pytest.mark.parametrize("name", [name for name, each in METHODS.items() if each.single])
def test_a_single_chain_streams_token_by_token(nano_served: Served, name: str) -> None:
    params = {
        "step_conditional": {"steps": 4},
        "class_conditional": {"length": "short"},
        "token_conditional": {"tokens": 64},
        "wrap_up": {"max_thinking_tokens": 60, "wrap_up_string": "So:\n"},
    }
    asked: dict[str, Any] = {"s1_eval": {"method": name, **params.get(name, {})}}
    whole = nano_served.answer(**asked)["choices"][0]["message"]
    deltas = [c["choices"][0]["delta"] for c in nano_served.chunks(**asked)]
    thoughts = [d["reasoning_content"] for d in deltas if "reasoning_content" in d]
    assert "".join(thoughts) == whole["reasoning_content"]
    assert "".join(d.get("content") or "" for d in deltas) == whole["content"]
    assert max(map(len, thoughts)) <= 15, "nano's longest token, or two that may be an end"


@pytest.mark.parametrize("name", ["budget_forcing", "token_conditional", "step_conditional"])
def test_a_stream_without_room_for_thinking_is_the_answer(nano_served: Served, name: str) -> None:
    params = {"step_conditional": {"steps": 4}, "token_conditional": {"tokens": 64}}
    asked: dict[str, Any] = {
        "max_completion_tokens": 30,
        "s1_eval": {"method": name, **params.get(name, {})},
    }
    whole = nano_served.answer(**asked)["choices"][0]["message"]
    assert whole["reasoning_content"] is None
    deltas = [c["choices"][0]["delta"] for c in nano_served.chunks(**asked)]
    assert not any("reasoning_content" in d for d in deltas)
    assert "".join(d.get("content") or "" for d in deltas) == whole["content"]


def test_a_stream_goes_on_from_what_a_cache_holds(nano: TransformersEngine, tmp_path: Path) -> None:
    cached = CachedEngine(nano, tmp_path)
    with serving(cached, default="budget_forcing") as served:
        for limit in (8, 9, 60, 70, 1000):
            asked: dict[str, Any] = {"max_completion_tokens": limit}
            deltas = [c["choices"][0]["delta"] for c in served.chunks(**asked)]
            whole = served.answer(**asked)["choices"][0]["message"]
            assert "".join(d.get("content") or "" for d in deltas) == whole["content"]
            thought = "".join(d.get("reasoning_content") or "" for d in deltas)
            assert thought == (whole["reasoning_content"] or "")
    cached.forget()


def test_every_method_can_be_used_with_its_usual_settings(nano_served: Served) -> None:
    for name in nano_served.gateway.usable:
        given = {"samples": 2, "steps": 4, "length": "short", "tokens": 64}
        known = flat_fields(METHODS[name].settings)
        extra = {n: v for n, v in given.items() if n in known}
        extra |= {"max_thinking_tokens": 300} if name in ("wrap_up", "rejection_sampling") else {}
        reply = nano_served.answer(model=f"nano:{name}", temperature=1, seed=1, s1_eval=extra)
        assert reply["choices"][0]["message"]["role"] == "assistant"


def test_every_event_comes_in_a_stream_that_asks_for_them(nano_served: Served) -> None:
    chunks = nano_served.chunks(s1_eval={"events": True})
    events = [c["s1_eval"]["event"]["event"] for c in chunks if "event" in c.get("s1_eval", {})]
    assert events[:2] == ["asked", "begun"]
    assert events[-1] == "answered"
    assert "grown" in events


def test_a_stop_cuts_the_answer_and_nothing_else(nano_served: Served) -> None:
    usual = nano_served.answer()["choices"][0]
    for stop in (["wer: "], "Wait", [":", "A"]):
        asked = {"stop": stop, "s1_eval": {"record": True}}
        reply = nano_served.answer(**asked)
        texts = [stop] if isinstance(stop, str) else stop
        cut = min([usual["message"]["content"].find(t) % 1000 for t in texts])
        message = reply["choices"][0]["message"]
        assert message["content"] == usual["message"]["content"][:cut]
        assert message["reasoning_content"] == usual["message"]["reasoning_content"]
        assert reply["choices"][0]["finish_reason"] == "stop"
        assert reply["s1_eval"]["record"]["response"] == message["content"]
        deltas = [c["choices"][0]["delta"] for c in nano_served.chunks(stop=stop)]
        assert "".join(d.get("content") or "" for d in deltas) == message["content"]


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_a_limit_holds_for_thinking_and_answer_together(nano_served: Served, limit: str) -> None:
    for name in ("plain", "budget_forcing"):
        reply = nano_served.answer(**{limit: 30}, model=f"nano:{name}")
        assert reply["usage"]["completion_tokens"] <= 30
        assert (reply["choices"][0]["finish_reason"] == "length") == (name == "plain")
    free = nano_served.answer(model="nano:plain")
    assert free == nano_served.answer(model="nano:plain", max_tokens=1000) | {
        key: free[key] for key in ("id", "created", "s1_eval", "choices")
    }


def test_a_seed_repeats_and_choices_differ(nano_served: Served) -> None:
    asked = {"n": 4, "temperature": 1, "seed": 5}
    first, again = (
        [c["message"] for c in nano_served.answer(**asked)["choices"]] for _ in range(2)
    )
    assert first == again
    assert len({message["reasoning_content"] for message in first}) > 1
    other = [c["message"] for c in nano_served.answer(**asked | {"seed": 6})["choices"]]
    assert other != first


def test_an_unnamed_temperature_is_one(nano_served: Served) -> None:
    record = nano_served.answer(temperature=None, seed=1, s1_eval={"record": True})
    other = nano_served.answer(temperature=1.0, seed=1, s1_eval={"record": True})
    assert record["s1_eval"]["run_id"] == other["s1_eval"]["run_id"]
    assert record["s1_eval"]["run_id"] != nano_served.answer(seed=1)["s1_eval"]["run_id"]


def test_raw_text_is_gone_on_with(nano_served: Served) -> None:
    path = "/v1/completions"
    asked = {"model": "nano:plain", "prompt": ["Compute mod", "S="], "max_tokens": 5, "n": 2}
    reply = nano_served.ask(path, **asked).json()
    assert [choice["index"] for choice in reply["choices"]] == [0, 1, 2, 3]
    texts = [choice["text"] for choice in reply["choices"]]
    assert texts[0] == texts[1] != texts[2]
    chunks = nano_served.chunks(path, **asked)
    for index in range(4):
        parts = [c for chunk in chunks for c in chunk["choices"] if c["index"] == index]
        assert "".join(part["text"] for part in parts) == texts[index]


def test_effort_is_a_length_for_the_method_that_asks_by_it(nano_served: Served) -> None:
    asked = {"model": "nano:class_conditional"}
    by_effort = nano_served.answer(**asked, reasoning_effort="low")
    by_length = nano_served.answer(**asked, s1_eval={"length": "short"})
    assert by_effort["s1_eval"]["run_id"] == by_length["s1_eval"]["run_id"]


def test_a_vote_is_counted_by_the_grader_that_is_asked_for(nano_served: Served) -> None:
    asked = {"model": "nano:majority_vote", "temperature": 1, "seed": 2}
    for grader in ("math", "integer", {"name": "integer", "minimum": 0, "maximum": 99}):
        extra = {"samples": 3, "grader": grader, "record": True}
        record = nano_served.answer(**asked, s1_eval=extra)["s1_eval"]["record"]
        assert sum(record["votes"]) <= 3
        assert record["correct"] is None
