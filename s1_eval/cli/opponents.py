"""Other checkers, for audits and measurements. Each runs as its authors ship it, in the worker
process that this module is (see `s1_eval.answers.pool`), which can be killed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from s1_eval import libraries
from s1_eval.json_lines import JsonObject

Equal = Callable[[str, str], bool]
"""(gold, answer), both without their surroundings."""


def load() -> dict[str, Equal | str]:
    """Every opponent, warm, or why it can't be had."""
    found: dict[str, Equal | str] = {}
    for name, make in _MAKERS.items():
        try:
            equal = found[name] = make()
            equal(r"\frac{x+1}{2}", r"\frac{1+x}{2}")
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found


def versions() -> dict[str, str]:
    """The version behind each opponent."""
    from importlib.metadata import version

    return {
        "Math-Verify": version("math-verify"),
        "Inspect math()": f"inspect-ai {version('inspect-ai')}",
        "lm-eval minerva": f"lm-eval {version('lm-eval')}",
        "lm-eval hendrycks": f"lm-eval {version('lm-eval')}",
    }


def _math_verify() -> Equal:
    from math_verify import parse, verify

    def equal(gold: str, answer: str) -> bool:
        return bool(verify(parse(f"${gold}$"), parse(rf"\boxed{{{answer}}}")))

    return equal


def _inspect_math() -> Equal:
    import asyncio

    from inspect_ai.model import ModelName, ModelOutput
    from inspect_ai.scorer import CORRECT, Target, math
    from inspect_ai.solver import TaskState

    score = math()
    loop = asyncio.new_event_loop()

    def equal(gold: str, answer: str) -> bool:
        model = "mockllm/model"
        output = ModelOutput.from_content(model, rf"\boxed{{{answer}}}")
        state = TaskState(ModelName(model), 1, 1, "", [], output=output)
        found = loop.run_until_complete(score(state, Target(gold)))
        return found is not None and found.value == CORRECT

    return equal


def _minerva() -> Equal:
    libraries.check(__name__)
    from lm_eval.tasks.minerva_math import utils

    def equal(gold: str, answer: str) -> bool:
        text = f"Final Answer: The final answer is ${answer}$. I hope it is correct."
        doc = {"solution": rf"\boxed{{{gold}}}", "answer": utils.normalize_final_answer(gold)}
        found = utils.normalize_final_answer(utils.get_unnormalized_answer(text))
        return bool(utils.is_equiv(found, doc["answer"]))

    return equal


def _hendrycks() -> Equal:
    libraries.check(__name__)
    from lm_eval.tasks.hendrycks_math import utils

    def equal(gold: str, answer: str) -> bool:
        doc = {"solution": rf"\boxed{{{gold}}}"}
        return bool(utils.process_results(doc, [f"${answer}$"])["exact_match"])

    return equal


_MAKERS: dict[str, Callable[[], Equal]] = {
    "Math-Verify": _math_verify,
    "Inspect math()": _inspect_math,
    "lm-eval minerva": _minerva,
    "lm-eval hendrycks": _hendrycks,
}


def main() -> None:
    """Serve `{"checker", "gold", "answer"}`, and `{}` for what can't be had."""
    from s1_eval.answers.worker import serve

    opponents = load()

    def answer(question: JsonObject) -> JsonObject:
        if not question:
            return {name: o for name, o in opponents.items() if isinstance(o, str)}
        opponent = opponents[question["checker"]]
        if isinstance(opponent, str):
            return {"failed": opponent}
        began = time.perf_counter()
        try:
            equal, failed = opponent(question["gold"], question["answer"]), ""
        except Exception as error:  # its users would see it, so it counts as not equal
            equal, failed = False, type(error).__name__
        milliseconds = 1000 * (time.perf_counter() - began)
        return {"equal": equal, "raised": failed, "milliseconds": milliseconds}

    serve(answer)


if __name__ == "__main__":
    main()
