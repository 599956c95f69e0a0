"""What is refused, and how: by the field's name, and without harm to anybody else."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from served import ASKED, Served

from s1_eval.serve.requests import BadRequest, ChatRequest, TextRequest, read_request

IMAGE = [{"type": "image_url", "image_url": {"url": "data:,"}}]
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"temprature": 1}, "temprature", "did you mean 'temperature'"),
    ({"temperature": 3}, "temperature", "less than or equal to 2"),
    ({"temperature": "1"}, "temperature", "number"),
    ({"top_p": 0}, "top_p", "greater than 0"),
    ({"n": 0}, "n", "greater than or equal to 1"),
    ({"n": True}, "n", "integer"),
    ({"seed": 1.5}, "seed", "integer"),
    ({"seed": 1 << 64}, "seed", "less"),
    ({"stop": [""]}, "stop", "empty"),
    ({"stop": 5}, "stop", "string"),
    ({"max_tokens": 0}, "max_tokens", "greater"),
    ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens", "leave it out"),
    ({"stream": "yes"}, "stream", "boolean"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "stream=true"),
    ({"frequency_penalty": 0.5}, "frequency_penalty", "not supported"),
    ({"logprobs": True}, "logprobs", "not supported"),
    ({"logprobs": 0}, "logprobs", "not supported"),
    ({"tools": [{"type": "function"}]}, "tools", "not supported"),
    ({"response_format": {"type": "json_object"}}, "response_format", "not supported"),
    ({"logit_bias": {"5": 1}}, "logit_bias", "not supported"),
    ({"messages": []}, "messages", "at least 1"),
    ({"messages": [{"role": "user", "content": IMAGE}]}, "messages.0.content.0", "text"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role", "user"),
    ({"messages": [{"role": "user", "content": "x", "name": "y"}]}, "messages.0.name", ""),
    ({"messages": [*ASKED, {"role": "assistant", "content": "5"}]}, "messages", "answers a user's"),
    ({"reasoning_effort": "low"}, "", "reasoning effort"),
    ({"s1_eval": {"num_ignores": "2"}}, "s1_eval", "num_ignores='2'"),
    ({"s1_eval": {"num_ignore": 2}}, "s1_eval", "did you mean 'num_ignores'"),
    ({"s1_eval": {"num_ignores": 100_000}}, "s1_eval", "at most 1024"),
    ({"s1_eval": {"method": "plian"}}, "s1_eval.method", "did you mean 'plain'"),
    ({"s1_eval": {"method": "majority_vote"}}, "s1_eval", "needs samples"),
    ({"s1_eval": {"method": "majority_vote", "samples": 10**12}}, "s1_eval", "at most 1024"),
    ({"s1_eval": {"grader": "maths"}}, "", "math"),
    ({"s1_eval": {"grader": {}}}, "s1_eval.grader", "`name`"),
    ({"s1_eval": {"grader": {"name": "math", "strictly": 1}}}, "", "settings"),
    ({"s1_eval": {"ignore_string": "x" * 20_000}}, "s1_eval", "shorten"),
    ({"s1_eval": {"epoch": 0}}, "s1_eval.epoch", "greater"),
    ({"s1_eval": {"target": "five", "grader": "integer"}}, "s1_eval.target", "not an integer"),
    ({"s1_eval": {"target": "ab", "grader": "choice"}}, "s1_eval.target", "none of the letters"),
    ({"s1_eval": {"target": ""}}, "s1_eval.target", "at least 1"),
    ({"stop": ["x"] * 17}, "stop", "at most 16"),
    ({"s1_eval": {"thinking_format": "x"}}, "s1_eval", "thinking_format"),
    ({"model": "nano:plain", "s1_eval": {"method": "sets"}}, "s1_eval.method", "give one"),
]
TAKEN: list[dict[str, Any]] = [
    {"user": "u", "metadata": {"a": "b"}, "store": False, "service_tier": "auto"},
    {"frequency_penalty": 0.0, "presence_penalty": 0, "logprobs": False, "tools": []},
    {"response_format": {"type": "text"}, "tool_choice": "none", "logit_bias": {}, "n": None},
    {"stop": None, "max_tokens": None, "seed": None, "stream": None, "temperature": None},
    {"messages": [{"role": "developer", "content": "Be brief."}, *ASKED]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "S=4"}]}]},
    {"top_k": -1, "top_p": 0.5},
]


@pytest.mark.parametrize(("body", "param", "said"), REFUSED, ids=[str(b)[:40] for b, *_ in REFUSED])
def test_what_can_not_be_done_is_refused_by_name(
    nano_served: Served, body: dict[str, Any], param: str, said: str
) -> None:
    for stream in ({}, {"stream": True}):
        if "stream_options" in body or "stream" in body:
            stream = {}
        reply = nano_served.ask(**stream, **body)
        assert reply.status_code == 400, reply.text
        error = reply.json()["error"]
        assert error["type"] == "invalid_request_error"
        assert (error["param"] or "").startswith(param)
        assert said in error["message"]


@pytest.mark.parametrize("body", TAKEN, ids=[str(body)[:40] for body in TAKEN])
def test_what_changes_nothing_is_taken(nano_served: Served, body: dict[str, Any]) -> None:
    assert nano_served.ask(**{"max_tokens": 4, **body}).status_code == 200


def test_an_answer_can_be_sent_back(nano_served: Served) -> None:
    message = nano_served.answer()["choices"][0]["message"]
    spoken = [*ASKED, {**message, "refusal": None, "tool_calls": None, "annotations": []}]
    assert nano_served.ask(messages=[*spoken, *ASKED], max_tokens=4).status_code == 200


def test_several_texts_of_a_message_are_lines(nano_served: Served) -> None:
    parts = [{"type": "text", "text": line} for line in ASKED[0]["content"].split("\n")]
    whole = nano_served.answer(seed=1)
    inparts = nano_served.answer(messages=[{"role": "user", "content": parts}])
    assert inparts["choices"][0]["message"] == whole["choices"][0]["message"]


def test_an_unknown_model_is_not_found(nano_served: Served) -> None:
    for name in ("gpt-4", "nano:nothing", "nano:", ""):
        reply = nano_served.ask(model=name)
        assert reply.status_code == 404
        assert reply.json()["error"]["code"] == "model_not_found"


def test_token_ids_are_refused_as_what_they_are(nano_served: Served) -> None:
    for prompt in ([1, 2], [[1, 2]]):
        reply = nano_served.ask("/v1/completions", prompt=prompt)
        assert reply.status_code == 400
        assert "token ids" in reply.json()["error"]["message"]


def test_a_prompt_that_is_too_long_is_told(nano_served: Served) -> None:
    for content in ("S=4\n" * 3000, "S=4\n" * 100_000):
        reply = nano_served.ask(messages=[{"role": "user", "content": content}])
        assert reply.status_code == 400
        assert reply.json()["error"]["code"] == "context_length_exceeded"


BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"model": NaN}',
    b"[" * 200_000,
    b'{"model": ' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}",
    b"\xff\xfe{}",
    b'{"n": ' + b"9" * 5000 + b"}",
    json.dumps({"model": "nano", "messages": [{"role": "user", "content": "\ud800"}]}).encode(),
    json.dumps(
        {"model": "nano", "messages": ASKED, "s1_eval": {"ignore_string": "\udfff"}}
    ).encode(),
    json.dumps({"model": "nano", "messages": ASKED, "s1_eval": [1]}).encode(),
    json.dumps({"model": "nano", "messages": {"role": "user"}}).encode(),
    json.dumps({"model": ["nano"], "messages": ASKED}).encode(),
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_hostile_body_is_refused(nano_served: Served, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    for path in ("/v1/chat/completions", "/v1/completions", "/events"):
        reply = nano_served.client.post(path, content=body, headers=headers)
        assert reply.status_code in (400, 404), reply.text
        assert reply.json()["error"]["message"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
NAMES = st.sampled_from([*ChatRequest.model_fields, *TextRequest.model_fields, "user", "x"])


@given(changed=st.dictionaries(NAMES, JSON, min_size=1, max_size=3))
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_body_breaks_the_reader(changed: dict[str, Any]) -> None:
    for kind, usual in ((ChatRequest, {"messages": ASKED}), (TextRequest, {"prompt": "S="})):
        body = json.dumps({"model": "nano", **usual, **changed}).encode()
        with suppress(BadRequest):
            assert read_request(kind, body).prompts
