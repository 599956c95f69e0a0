"""The transformers engine, mostly on the embedded model: what is in flight together comes out as
if it had been alone."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from s1_eval.engines import Engine, Generation, Sampling, Stop
from s1_eval.engines.models import resolve_model
from s1_eval.engines.transformers import TransformersEngine
from s1_eval.errors import UserError
from s1_eval.training.nano.problems import held_out

QUESTIONS = [problem.question for problem in held_out(8)]


@pytest.fixture(scope="module")
def engine():
    engine = TransformersEngine("nano")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def alone():
    """What an engine generates that has one request in hand at a time and keeps nothing of it."""
    engine = TransformersEngine("nano", max_batch_size=1, kv_cache_tokens=1)
    known: dict[tuple, Generation] = {}

    async def generation(prompt, **settings) -> Generation:
        key = (*prompt, *settings.items())
        if key not in known:
            known[key] = await generate(engine, prompt, **settings)
        return known[key]

    yield generation
    engine.close()


@pytest.fixture(scope="module")
def prompts(engine) -> list[list[int]]:
    def prompt(question: str) -> list[int]:
        messages = [{"role": "user", "content": question}]
        template = engine.tokenizer.apply_chat_template
        text = template(messages, tokenize=False, add_generation_prompt=True)
        return engine.tokenizer.encode(text + "<|im_start|>think", add_special_tokens=False)

    return [prompt(question) for question in QUESTIONS]


@pytest.fixture
def passes(monkeypatch) -> list[tuple[int, int]]:
    """(lines, ids per line) of every forward pass from now on."""
    from s1_eval.engines.decoding import Batched

    seen = []
    forward = Batched._forward

    def watched(self, layers, ids, *args):
        seen.append(tuple(ids.shape))
        return forward(self, layers, ids, *args)

    monkeypatch.setattr(Batched, "_forward", watched)
    return seen


async def generate(
    engine: Engine, prompt, max_tokens=40, stop: Stop | None = None, **sampling
) -> Generation:
    return await engine.generate(
        prompt,
        max_tokens=max_tokens,
        stop=stop or Stop(engine.info.eos_ids),
        sampling=Sampling(**sampling),
    )


def seeded(seed: int) -> dict:
    return {"temperature": 1.5, "top_p": 0.95, "seed": seed}


async def test_in_flight_together_equals_one_at_a_time(engine, alone, prompts, passes):
    together = await asyncio.gather(*(generate(engine, p) for p in prompts))
    assert max(lines for lines, _ in passes) == len(prompts)
    assert len({len(p) for p in prompts}) > 3
    assert together == [await alone(p) for p in prompts]


async def test_greedy_equals_the_librarys_own_generate(engine, prompts):
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(resolve_model("nano"), dtype="float32")
    generations = await asyncio.gather(*(generate(engine, p) for p in prompts))
    for prompt, generation in zip(prompts, generations, strict=True):
        expected = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=40,
            do_sample=False,
        )
        assert [*prompt, *generation.ids, *generation.stop_ids] == expected[0].tolist()


@pytest.mark.slow
async def test_joining_and_leaving_at_any_step_changes_nothing(engine, alone, prompts):
    import torch
    from transformers import AutoModelForCausalLM

    from s1_eval.engines import decoding

    model = AutoModelForCausalLM.from_pretrained(resolve_model("nano"), dtype="float32").eval()
    vocabulary = frozenset(engine.tokenizer.get_vocab().values())
    stop = Stop(engine.info.eos_ids)
    rows = [
        decoding.Row(p, 40, stop, Sampling(**seeded(at)), frozenset(), engine.tokenizer)
        for at, p in enumerate(prompts)
    ]
    arriving, finished = list(rows), {}
    with torch.inference_mode():
        decoder = decoding.decoder(model, decoding.Chooser(vocabulary, model.device), 128, None)
        for step in range(100):
            if step % 7 == 0 and arriving:
                decoder.add(arriving.pop())
            finished.update(decoder.step())
    for at, prompt in enumerate(prompts):
        assert finished[rows[at]] == await alone(prompt, **seeded(at))


async def test_lines_of_rows_that_left_are_closed_up_and_given_to_those_that_come(
    alone, prompts, passes, monkeypatch
):
    from s1_eval.engines.decoding import Batched

    copies = []
    pack = Batched._pack
    monkeypatch.setattr(Batched, "_pack", lambda *args: copies.append(args[1]) or pack(*args))
    own = TransformersEngine("nano")
    passes.clear()
    ordered = sorted(prompts, key=len)  # as lines are given

    async def asked(at: int) -> Generation:
        """The third and fourth leave early, before others; when their lines are closed up the first
        two come."""
        while at < 2 and (4, 1) not in passes:
            await asyncio.sleep(0.001)
        return await generate(own, ordered[at], 8 if at < 4 else 60, Stop(), **seeded(at))

    try:
        together = await asyncio.gather(*map(asked, range(8)))
    finally:
        own.close()
    steps = [lines for lines, ids in passes if ids == 1]
    assert 2 * 7 <= steps.count(6) <= 2 * 10, steps
    assert steps[-1] == 4
    assert copies.count(6) == 1, "nothing is copied for the last two"
    for at, (prompt, made) in enumerate(zip(ordered, together, strict=True)):
        length = 8 if at < 4 else 60
        assert made == await alone(prompt, max_tokens=length, stop=Stop(), **seeded(at))


async def test_more_requests_than_a_batch_takes_wait_and_lose_nothing(alone, prompts, passes):
    small = TransformersEngine("nano", max_batch_size=3)
    try:
        crowded = await asyncio.gather(
            *(generate(small, p, **seeded(at)) for at, p in enumerate(prompts))
        )
    finally:
        small.close()
    assert max(lines for lines, _ in passes) == 3
    assert crowded == [await alone(p, **seeded(at)) for at, p in enumerate(prompts)]


@pytest.mark.slow
async def test_requests_that_outgrow_the_memory_are_set_back_and_lose_nothing(
    alone, prompts, passes
):
    tight = TransformersEngine("nano", kv_cache_tokens=900)
    long = {"max_tokens": 80, "stop": Stop()}
    try:
        crowded = await asyncio.gather(
            *(generate(tight, p, **long, **seeded(at)) for at, p in enumerate(prompts[:5]))
        )
    finally:
        tight.close()
    assert sum(lines for lines, ids in passes if ids > 1) > 5, "none was set back"
    assert crowded == [await alone(p, **long, **seeded(at)) for at, p in enumerate(prompts[:5])]


async def test_a_seed_fixes_the_ids_whatever_is_beside_it(engine, alone, prompts):
    prompt = prompts[0]
    crowd = [generate(engine, p, **seeded(at)) for at, p in enumerate(prompts[1:])]
    first, *_ = await asyncio.gather(generate(engine, prompt, **seeded(1)), *crowd)
    assert first == await alone(prompt, **seeded(1))
    others = await asyncio.gather(*(generate(engine, prompt, **seeded(s)) for s in range(2, 8)))
    assert len({first.ids, *(other.ids for other in others)}) > 1


async def test_a_seed_gives_a_longer_cap_the_same_beginning(engine, prompts):
    short = await generate(engine, prompts[0], max_tokens=20, stop=Stop(), **seeded(3))
    long = await generate(engine, prompts[0], max_tokens=50, stop=Stop(), **seeded(3))
    assert long.ids[:20] == short.ids


async def test_without_a_seed_every_request_draws_anew(engine, prompts):
    jobs = [generate(engine, prompts[0], temperature=2.0) for _ in range(8)]
    assert len({generation.ids for generation in await asyncio.gather(*jobs)}) > 1


async def test_a_stop_string_may_span_tokens(engine, prompts):
    free = await generate(engine, prompts[0], stop=Stop(), max_tokens=40)
    decode = engine.tokenizer.decode
    string = decode(free.ids[30:34], skip_special_tokens=False)
    cut = await generate(engine, prompts[0], stop=Stop(strings=(string,)), max_tokens=40)
    together = cut.ids + cut.stop_ids
    assert cut.reason == "stop"
    assert len(cut.stop_ids) >= 4
    assert together == free.ids[: len(together)]
    assert string not in decode(together[:-1], skip_special_tokens=False)
    assert decode(cut.stop_ids, skip_special_tokens=False) == string


async def test_no_stop_comes_before_min_tokens(engine, prompts):
    stop = Stop(engine.info.eos_ids, ("\n",))
    newline = engine.tokenizer.encode("\n", add_special_tokens=False)[0]
    early = await generate(engine, prompts[0], stop=stop)
    late = await generate(engine, prompts[0], stop=Stop(stop.ids, stop.strings, min_tokens=30))
    assert len(early.ids) < 30 <= len(late.ids)
    assert not {newline, *stop.ids}.intersection(late.ids[:30])


async def test_a_banned_id_is_never_sampled(engine, prompts):
    free = await generate(engine, prompts[0])
    banned = frozenset(free.ids[:1])
    found = await generate(engine, prompts[0], banned=banned)
    assert not banned.intersection(found.ids)
    assert (await generate(engine, prompts[0])).ids == free.ids


async def test_what_a_prompt_continues_is_not_read_again(prompts, alone, passes):
    fresh = TransformersEngine("nano")
    try:
        first = await asyncio.gather(*(generate(fresh, p, **seeded(5)) for p in prompts))
        wait = fresh.tokenizer.encode("Wait", add_special_tokens=False)
        longer = [[*p, *g.ids, *wait] for p, g in zip(prompts, first, strict=True)]
        passes.clear()
        second = await asyncio.gather(*(generate(fresh, p, **seeded(6)) for p in longer))
    finally:
        fresh.close()
    read = sum(lines * ids for lines, ids in passes if ids > 1)
    assert read <= len(prompts) * (len(wait) + 2)
    assert second == [await alone(p, **seeded(6)) for p in longer]


async def test_one_prompt_many_times_is_read_once(engine, alone, prompts, passes):
    prompt = [*prompts[3], *prompts[4]]
    jobs = [generate(engine, prompt, **seeded(seed)) for seed in range(6)]
    samples = await asyncio.gather(*jobs)
    assert sum(lines * ids for lines, ids in passes if ids > 1) <= len(prompt)
    assert samples == [await alone(prompt, **seeded(seed)) for seed in range(6)]


async def test_a_cancelled_call_leaves_the_batch(engine, alone, prompts, passes):
    rest = engine.info.context_length - 1000
    tasks = [
        asyncio.create_task(generate(engine, p, max_tokens=rest, stop=Stop(), **seeded(at)))
        for at, p in enumerate(prompts[:6])
    ]
    while not passes:
        await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    passes.clear()
    after = await generate(engine, prompts[7])
    assert passes[-1] == (1, 1)
    assert after == await alone(prompts[7])


def test_calls_come_from_several_event_loops_at_once(engine, alone, prompts):
    results: dict[int, Generation] = {}

    def loop(at: int) -> None:
        results[at] = asyncio.run(generate(engine, prompts[at], **seeded(at)))

    threads = [threading.Thread(target=loop, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for at in range(4):
        assert results[at] == asyncio.run(alone(prompts[at], **seeded(at)))


async def test_a_failure_inside_fails_every_call_and_names_its_cause(monkeypatch, prompts):
    from s1_eval.engines.decoding import Batched

    broken = TransformersEngine("nano")

    def fail(*args):
        raise MemoryError("no more")

    monkeypatch.setattr(Batched, "_decode", fail)
    jobs = [generate(broken, p) for p in prompts[:3]]
    errors = await asyncio.gather(*jobs, return_exceptions=True)
    with pytest.raises(RuntimeError, match="no more"):
        await generate(broken, prompts[0])
    broken.close()
    assert all(type(error) is RuntimeError for error in errors)
    assert all(isinstance(error.__cause__, MemoryError) for error in errors)


async def test_closing_fails_what_is_in_flight_and_can_be_repeated(prompts):
    engine = TransformersEngine("nano")
    tasks = [
        asyncio.create_task(generate(engine, p, max_tokens=2000, stop=Stop())) for p in prompts
    ]
    await asyncio.sleep(0.05)
    engine.close()
    engine.close()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(type(error) is RuntimeError and "closed" in str(error) for error in errors)
    with pytest.raises(RuntimeError, match="closed"):
        await generate(engine, prompts[0])


async def test_ids_that_the_tokenizer_lacks_are_neither_sampled_nor_taken(
    engine, prompts, tmp_path
):
    """A model whose output layer is padded, and likes the padding best."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(resolve_model("nano"))
    known = model.config.vocab_size
    model.resize_token_embeddings(known + 2, mean_resizing=False)
    with torch.no_grad():
        outside = model.get_output_embeddings().weight[known:]
        outside[0], outside[1] = 50.0, -50.0
    model.save_pretrained(tmp_path)
    engine.tokenizer.save_pretrained(tmp_path)
    padded = TransformersEngine(str(tmp_path))
    try:
        for sampling in ({}, seeded(1)):
            assert await generate(padded, prompts[0], **sampling) == await generate(
                engine, prompts[0], **sampling
            )
        with pytest.raises(UserError, match=f"id {known}"):
            await generate(padded, [*prompts[0], known])
    finally:
        padded.close()


async def test_what_does_not_fit_the_context_is_refused(engine, prompts):
    room = engine.info.context_length - len(prompts[0])
    with pytest.raises(UserError, match="context"):
        await generate(engine, prompts[0], max_tokens=room + 1)


def test_info_says_what_a_record_needs(engine):
    info = engine.info
    assert (info.engine, info.model, info.dtype) == ("transformers", "nano", "float32")
    assert info.seeding == "request"
    assert info.context_length >= 1024
    assert engine.tokenizer.eos_token_id in info.eos_ids
    assert set(info.versions) == {"s1_eval", "tokenizers", "torch", "transformers"}


def test_the_fingerprint_is_of_the_weights_wherever_they_lie(engine, tmp_path):
    from s1_eval.engines.checkpoints import fingerprint

    for file in Path(resolve_model("nano")).iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    assert fingerprint(str(tmp_path), None) == engine.info.fingerprint
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00\x01")
    assert fingerprint(str(tmp_path), None) != engine.info.fingerprint


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"max_batch_size": 0}, "max_batch_size=0"),
        ({"kv_cache_tokens": "many"}, "kv_cache_tokens='many'"),
        ({"dtype": "float8"}, "choose from auto"),
        ({"device": "abacus"}, "give cpu or cuda"),
        ({"context_length": 10**9}, "give that or less"),
    ],
)
def test_a_wrong_setting_says_what_to_give(settings, hint):
    with pytest.raises(UserError, match=hint):
        TransformersEngine("nano", **settings)


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_model_is_the_users_to_replace(tmp_path, damage):
    for file in Path(resolve_model("nano")).iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / damage).write_bytes(b"{")
    with pytest.raises(UserError, match="can't be loaded"):
        TransformersEngine(str(tmp_path))


SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "initializer_range": 0.5,
}
RECURRENT = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_key_heads": 1,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "num_experts": 2,
    "num_experts_per_tok": 1,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "more"),
    [("mistral", {"sliding_window": 5}), ("qwen3_next", RECURRENT)],
    ids=["sliding window", "recurrent state"],
)
async def test_other_caches_change_nothing_either(engine, prompts, tmp_path, kind, more):
    """Only the bookkeeping is at stake, so random weights do."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, vocab_size=len(engine.tokenizer), **SHAPE, **more)
    model = AutoModelForCausalLM.from_config(config).eval()
    model.save_pretrained(tmp_path)
    engine.tokenizer.save_pretrained(tmp_path)
    other = TransformersEngine(str(tmp_path))

    async def twice(prompt) -> list[int]:
        first = await generate(other, prompt, max_tokens=20, stop=Stop())
        again = [*prompt, *first.ids, 7]
        second = await generate(other, again, max_tokens=20, stop=Stop())
        return [*again, *second.ids]

    def expected(prompt) -> list[int]:
        for more in ([], [7]):
            prompt = [*prompt, *more]
            ids = torch.tensor([prompt])
            prompt = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, do_sample=False
            )[0].tolist()
        return prompt

    model.generation_config.eos_token_id = None
    try:
        together = await asyncio.gather(*(twice(p) for p in prompts[:6]))
        assert together == [await twice(p) for p in prompts[:6]]
    finally:
        other.close()
    assert together == [expected(p) for p in prompts[:6]]
    assert len(set(together[0])) > 8, "degenerate weights"


async def test_a_generation_says_what_it_took(prompts) -> None:
    engine = TransformersEngine("nano", max_batch_size=1)
    began = time.perf_counter()
    first = await generate(engine, prompts[0], max_tokens=40)
    taken = time.perf_counter() - began
    sequence = [*prompts[0], *first.ids]
    again = await generate(engine, sequence, max_tokens=2)
    engine.close()
    assert (first.cached_tokens, again.cached_tokens) == (0, len(sequence) - 1)
    parts = first.timing.waiting, first.timing.prefill, first.timing.decode
    assert min(parts) > 0
    assert sum(parts) <= taken


async def test_waiting_for_a_place_in_the_batch_is_no_decoding(prompts) -> None:
    engine = TransformersEngine("nano", max_batch_size=1)
    both = (generate(engine, prompt, max_tokens=30) for prompt in prompts[:2])
    first, second = await asyncio.gather(*both)
    engine.close()
    assert second.timing.waiting > first.timing.waiting + first.timing.decode
