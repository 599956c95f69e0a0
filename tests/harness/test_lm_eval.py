"""Our models and tasks under lm-evaluation-harness, on the embedded model."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s1_eval.errors import UserError
from s1_eval.harness.lm_eval_tasks import Generated, SampleLine, asks, process_results, word
from s1_eval.records.readers import read_runs
from s1_eval.records.schema import validate_run, validate_sample
from s1_eval.tasks import __file__ as tasks_file

TASKS = Path(tasks_file).parent
FORCED = "max_tokens_thinking=48,thinking_n_ignore=1"

Evaluate = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def lm() -> Any:
    from s1_eval.harness.lm_eval_models import s1_hf

    model = s1_hf("nano")
    yield model
    model.engine.close()


@pytest.fixture
def evaluate(lm: Any) -> Evaluate:
    """`simple_evaluate` over our nano task, four questions."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    def run(gen_kwargs: str = FORCED, task: Any = None, **options: Any) -> dict[str, Any]:
        found: dict[str, Any] = simple_evaluate(
            tasks=[task or str(TASKS / "s1_nano.yaml")],
            task_manager=TaskManager(include_defaults=False),  # the others take seconds to index
            gen_kwargs=gen_kwargs,
            **{"model": lm, "limit": 4, "bootstrap_iters": 0, **options},
        )
        return found

    return run


def lines(results: dict[str, Any]) -> list[dict[str, Any]]:
    (found,) = results["samples"].values()
    return found


def chains(results: dict[str, Any]) -> list[Any]:
    return [(line["sample_id"], line["traces"]) for line in lines(results)]


def test_every_line_is_a_valid_record_and_scores_are_averaged(evaluate: Evaluate) -> None:
    results = evaluate()
    for line in lines(results):
        validate_sample(line)
        validate_run(line["run"])
        assert line["harness"] == "lm-eval"
        assert line["method_params"]["num_ignores"] == 1
        assert line["exact_match"] == float(line["correct"])
        assert line["thinking_tokens"] <= 48
    (scores,) = results["results"].values()
    assert {name.split(",")[0] for name in scores if name.endswith(",none")} >= {
        "exact_match",
        "exact_match_answered",
        "answered",
        "thinking_tokens",
    }
    thinking = [line["thinking_tokens"] for line in lines(results)]
    assert scores["thinking_tokens,none"] == sum(thinking) / 4


def test_the_chat_template_is_applied_once_whether_asked_for_or_not(evaluate: Evaluate) -> None:
    plain, templated = evaluate(), evaluate(apply_chat_template=True)
    assert chains(plain) == chains(templated)


def test_a_system_instruction_is_a_system_message(evaluate: Evaluate, lm: Any) -> None:
    results = evaluate(apply_chat_template=True, system_instruction="Wait")
    prompt = lm.engine.tokenizer.decode(lines(results)[0]["traces"][0]["prompt"])
    assert prompt.startswith("<|im_start|>system\nWait<|im_end|>\n<|im_start|>user\n")


def test_a_conversation_of_many_turns_is_answered_at_its_last_message(lm: Any) -> None:
    from lm_eval.api.instance import Instance

    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "S=1"},
        {"role": "assistant", "content": "01"},
        {"role": "user", "content": "S=2"},
    ]
    asked = {"method": "token_conditional", "tokens": 9, "max_thinking_tokens": 9}
    request = Instance("generate_until", {}, (lm.apply_chat_template(turns), asked), 0, ("t", 0, 1))
    (answer,) = lm.generate_until([request])
    assert lm.engine.tokenizer.decode(answer.row["traces"][0]["prompt"]) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nS=1<|im_end|>\n<|im_start|>assistant\n01<|im_end|>\n"
        "<|im_start|>user\nS=2\n\nThink for up to 9 tokens.<|im_end|>\n<|im_start|>assistant\n"
    )
    assert "raw_prompts" not in answer.row["run"]


def test_a_conversation_that_ends_with_the_model_is_refused(lm: Any) -> None:
    from lm_eval.api.instance import Instance

    turns = [{"role": role, "content": "x"} for role in ("user", "assistant")]
    request = Instance("generate_until", {}, (lm.apply_chat_template(turns), {}), 0, ("t", 0, 1))
    with pytest.raises(UserError, match="has to be a user's, but the conversation is user, assist"):
        lm.generate_until([request])


def test_a_prompt_without_the_chat_template_is_encoded_as_it_is(lm: Any) -> None:
    from lm_eval.api.instance import Instance

    text = "Q: S=1\nA: 01\n\nQ: S=2\nA:"
    request = Instance("generate_until", {}, (text, {"max_gen_toks": 4}), 0, ("t", 0, 1))
    (answer,) = lm.generate_until([request])
    (trace,) = answer.row["traces"]
    assert trace["prompt"] == lm.engine.tokenizer.encode(text)
    assert answer.row["forced_tokens"] == 0
    assert answer.row["run"]["raw_prompts"] is True


def test_a_method_that_speaks_to_the_model_refuses_raw_text(lm: Any) -> None:
    from lm_eval.api.instance import Instance

    asked = {"method": "token_conditional", "tokens": 9}
    request = Instance("generate_until", {}, ("Q: S=2\nA:", asked), 0, ("t", 0, 1))
    with pytest.raises(UserError, match="--apply_chat_template"):
        lm.generate_until([request])


def test_repeats_are_epochs_with_seeds_of_their_own(evaluate: Evaluate, tmp_path: Path) -> None:
    repeated = tmp_path / "repeated.yaml"
    repeated.write_text(f"include: {TASKS / 's1_nano.yaml'}\ntask: s1_nano\nrepeats: 3\n")
    sampled = FORCED + ",temperature=1.0,do_sample=True,seed=3"
    results = evaluate(sampled, str(repeated), limit=2)
    first = lines(results)[0]
    rows = [first, *first["other_epochs"]]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert len({row["seed"] for row in rows}) == 3
    assert first["exact_match"] == sum(row["correct"] for row in rows) / 3
    assert chains(evaluate(sampled, str(repeated), limit=2)) == chains(results)

    written = tmp_path / "samples_s1_nano_2026.jsonl"
    written.write_text("".join(json.dumps(line) + "\n" for line in lines(results)))
    (read,) = read_runs([written])
    assert len(read.rows) == 6


def test_bad_parameters_are_refused_before_the_model_is_loaded(evaluate: Evaluate) -> None:
    from s1_eval.harness.lm_eval_models import s1_hf

    with pytest.raises(UserError, match="max_thinking_tokens=0"):
        evaluate("max_tokens_thinking=0", model=s1_hf("there/is_no_such_model"))


@pytest.mark.parametrize(
    ("engine", "device", "taken"),
    [
        ("s1_hf", "cpu", True),
        ("s1_hf", "cuda:0", False),
        ("s1_vllm", "cpu", False),
        ("s1_vllm", "cuda:0", False),
        ("s1_api", "mps", False),
    ],
)
def test_a_device_goes_to_the_engine_that_has_one(
    caplog: pytest.LogCaptureFixture, engine: str, device: str, taken: bool
) -> None:
    from s1_eval.harness import lm_eval_models

    model = getattr(lm_eval_models, engine)("nano", device=device)
    assert model.engine_args == ({"device": device} if taken else {})
    said = device != "cuda:0" and not taken  # which lm-eval passes where the user says nothing
    assert (f"--device {device} is left out: {engine}" in caplog.text) == said


def test_the_response_cache_gives_the_records_back_and_serves_one_model(
    evaluate: Evaluate, lm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval.api.model import CacheHook, CachingLM

    from s1_eval.harness.lm_eval_models import s1_hf

    cache = str(tmp_path / "cache")
    fresh = evaluate(use_cache=cache)
    monkeypatch.setattr(lm, "generate_until", lambda *a: pytest.fail("not from the cache"))
    assert lines(evaluate(use_cache=cache)) == lines(fresh)
    with pytest.raises(UserError, match="the response cache belongs to"):
        CachingLM(s1_hf("nano", dtype="bfloat16"), cache + "_rank0.db")
    lm.set_cache_hook(CacheHook(None))


def test_every_answer_reaches_the_response_cache_as_it_is_done(
    lm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval.api.instance import Instance

    from s1_eval.evaluation.run import Run

    kept: list[tuple[str, Any, str]] = []
    solve = Run.solve

    async def breaks_at_the_second(run: Any, id: str, *args: Any) -> Any:
        if id == "1":
            while not kept:
                await asyncio.sleep(0.01)
            raise RuntimeError("the engine broke")
        return await solve(run, id, *args)

    monkeypatch.setattr(Run, "solve", breaks_at_the_second)
    monkeypatch.setattr(lm.cache_hook, "add_partial", lambda *what: kept.append(what))
    arguments = ("S=2", {"max_gen_toks": 4})
    requests = [Instance("generate_until", {}, arguments, 0, ("t", at, 1)) for at in range(2)]
    with pytest.raises(RuntimeError, match="the engine broke"):
        lm.generate_until(requests)
    [(kind, key, answer)] = kept
    assert (kind, key, answer.row["sample_id"]) == ("generate_until", arguments, "0")


def test_a_generation_survives_what_lm_eval_does_to_texts() -> None:
    generated = Generated("7", {"epoch": 1})
    for copied in (pickle.loads(pickle.dumps(generated)), copy.deepcopy(generated)):  # noqa: S301
        assert (copied, copied.row) == ("7", {"epoch": 1})
    assert json.dumps([generated]) == '["7"]'
    cast = type(generated)(7)
    assert (cast, cast.row) == ("7", {})
    assert cast == generated


def test_until_cuts_the_answer_and_never_the_thinking(evaluate: Evaluate, lm: Any) -> None:
    from lm_eval.api.instance import Instance

    (row, *_) = lines(evaluate())
    doc = row["doc"]
    asked = {"max_thinking_tokens": 48, "num_ignores": 1, "until": ["Final", "\n"]}
    request = Instance("generate_until", doc, (doc["prompt"], asked), 0, ("s1_nano", 0, 1))
    (cut,) = lm.generate_until([request])
    assert row["response"].startswith("Final")
    assert (cut, cut.row["response"]) == ("", "")
    assert cut.row["traces"] == row["traces"]


def test_it_runs_inside_a_running_event_loop(evaluate: Evaluate) -> None:
    async def notebook() -> dict[str, Any]:
        return evaluate()

    assert chains(asyncio.run(notebook())) == chains(evaluate())


def test_log_likelihood_tasks_use_the_same_weights(lm: Any) -> None:
    from lm_eval.api.instance import Instance

    pairs = [("S=47\nA*8=", "76"), ("S=47\nA*8=", "13")]
    requests = [Instance("loglikelihood", {}, pair, 0, ("t", i, 1)) for i, pair in enumerate(pairs)]
    right, wrong = lm.loglikelihood(requests)
    assert right[0] > wrong[0]
    assert lm._scorer.model is lm.engine.model


def test_an_engine_that_scores_prompts_gives_the_numbers_of_lm_evals_own_model(lm: Any) -> None:
    """The same weights behind both: what differs could only be ids, windows or sums."""
    import torch
    from lm_eval.api.instance import Instance

    from s1_eval.harness.lm_eval_models import PromptScorer

    class Scoring:
        info, tokenizer = lm.engine.info, lm.engine.tokenizer

        async def score(self, ids: list[int]) -> list[tuple[float, bool]]:
            with torch.inference_mode():
                logits = lm.engine.model(torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
            pairs = zip(logits, ids[1:], strict=True)
            return [(row[id].item(), int(row.argmax()) == id) for row, id in pairs]

    def asked(kind: str, *arguments: Any) -> list[Instance]:
        return [Instance(kind, {}, args, 0, ("t", at, 1)) for at, args in enumerate(arguments)]

    pairs = asked("loglikelihood", ("S=47\nA*8=", "76"), ("S=47\nA*8= ", "13"), ("", "S=47"))
    texts = asked("loglikelihood_rolling", ("S=47\nA*8=76",), ("",), ("S=47\nA*8=76\n" * 20,))
    scorer = PromptScorer(Scoring())
    for ours, theirs in zip(scorer.loglikelihood(pairs), lm.loglikelihood(pairs), strict=True):
        assert ours == (pytest.approx(theirs[0], abs=1e-3), theirs[1])
    rolling = scorer.loglikelihood_rolling(texts)
    assert rolling == pytest.approx(lm.loglikelihood_rolling(texts), abs=1e-3)
    assert rolling[2] < rolling[0] < rolling[1] == 0
    with pytest.raises(UserError, match="without tokens"):
        scorer.loglikelihood(asked("loglikelihood", ("S=47", "")))
    long = "S=47\n" * lm.engine.info.context_length
    with pytest.raises(UserError, match="does not fit"):
        scorer.loglikelihood(asked("loglikelihood", ("S=47", long)))


def test_log_likelihoods_of_a_conversation_are_those_of_its_text(lm: Any) -> None:
    from lm_eval.api.instance import Instance

    chat = lm.apply_chat_template([{"role": "user", "content": "S=47"}])
    text = "<|im_start|>user\nS=47<|im_end|>\n<|im_start|>assistant\n"
    asked = [Instance("loglikelihood", {}, (c, "76"), 0, ("t", 0, 1)) for c in (chat, text)]
    of_chat, of_text = lm.loglikelihood(asked)
    assert of_chat == of_text


def test_other_models_answers_are_graded_without_a_record() -> None:
    about = {"task": "t", "dataset": {}, "grader": {"name": "integer"}}
    doc = {"about": json.dumps(about), "target": "7", "options": []}
    line = process_results(doc, [["The answer is 7."]])
    assert dict(line.items()) == {"exact_match": 1, "exact_match_answered": 1, "answered": 1}
    assert process_results(doc, [[""]]).scores["exact_match_answered"] is None


def test_a_line_holds_the_record_and_shows_lm_eval_only_scores() -> None:
    line = SampleLine({"exit_reason": "natural", "answered": True}, {"answered": 0.5})
    written: dict[str, Any] = {}
    written.update(line)
    assert written == {"exit_reason": "natural", "answered": True}
    assert dict(line.items()) == {"answered": 0.5}


def test_the_results_say_which_engine_and_weights(evaluate: Evaluate, lm: Any) -> None:
    config = evaluate()["config"]
    assert config["engine"] == "transformers"
    assert config["model_sha"] == lm.engine.info.fingerprint
    assert "torch" in config["engine_versions"]


def test_an_answer_to_another_question_is_refused_with_both_ids() -> None:
    about = json.dumps({"task": "t", "dataset": {}, "grader": {"name": "integer"}})
    asked, graded = (
        {"id": id, "prompt": id, "about": about, "target": "7", "options": []}
        for id in ("q1", "q2")
    )
    word(asked)
    word(graded)
    response = Generated("7", {"sample_id": "q1", "asks": asks(asked)})
    with pytest.raises(UserError, match="the question q2 was given the answer to q1"):
        process_results(graded, [[response]])
    assert process_results(asked, [[response]])["correct"]


def test_a_question_that_was_put_by_an_earlier_command_is_refused() -> None:
    about = json.dumps({"task": "t", "dataset": {}, "grader": {"name": "integer"}})
    doc = {"id": "never", "prompt": "?", "about": about, "target": "7", "options": []}
    with pytest.raises(UserError, match="leave out --cache_requests"):
        process_results(doc, [["7"]])
