"""An engine of somebody else's: a file of its own and a line in the table make it a model of the
command line, of Inspect and of lm-eval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from scripted import ScriptedEngine

from s1_eval.engines import Generation, Sampling, Stop
from s1_eval.engines.table import ENGINES, Listed, open_engine, parse_model
from s1_eval.errors import UserError

TEXT = "\nA line.\n<|im_start|>answer\n7<|im_end|>"


class Parrot:
    """Says the same whatever it is asked."""

    def __init__(self, model: str, *, loudness: int = 1) -> None:
        self._scripted = ScriptedEngine(TEXT)
        self.tokenizer, self.info = self._scripted.tokenizer, self._scripted.info
        self.loudness = loudness

    async def generate(
        self, prompt: Sequence[int], *, max_tokens: int, stop: Stop, sampling: Sampling
    ) -> Generation:
        return await self._scripted.generate(
            prompt, max_tokens=max_tokens, stop=stop, sampling=sampling
        )

    def close(self) -> None:
        self._scripted.close()


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Listed(f"{__name__}:Parrot", served=True, scores="prompts")
    monkeypatch.setitem(ENGINES, "parrot", entry)


def test_it_is_opened_by_its_name_and_its_settings_are_checked(listed: None) -> None:
    assert parse_model("parrot/grey") == ("parrot", "grey")
    assert open_engine("parrot", "grey", loudness=3).loudness == 3
    with pytest.raises(UserError, match=r"loudness='x': give a whole number"):
        open_engine("parrot", "grey", loudness="x")


def test_it_is_a_model_of_lm_eval(listed: None) -> None:
    from lm_eval.api.instance import Instance

    from s1_eval.harness import lm_eval_models

    model = lm_eval_models.parrot("grey", loudness=2)
    assert model is not None
    asked: dict[str, Any] = {"doc": {}, "metadata": ("toy", 0, 1), "idx": 0}
    request = Instance("generate_until", arguments=("Say 7.", {"until": []}), **asked)
    [answer] = model.generate_until([request], disable_tqdm=True)
    assert "7" in answer
    assert isinstance(model._scorer, lm_eval_models.PromptScorer)
    with pytest.raises(AttributeError):
        lm_eval_models.parrots  # noqa: B018


def test_it_is_a_provider_of_inspect(listed: None, tmp_path: Any) -> None:
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.solver import generate

    from s1_eval.harness.inspect_models import provide

    provide("parrot")
    task = Task(dataset=[Sample(input="Say 7.")], solver=generate())
    [log] = eval(task, model="parrot/grey", display="none", log_dir=str(tmp_path))
    assert log.status == "success"
    assert log.samples[0].output.completion.strip() == "7"
