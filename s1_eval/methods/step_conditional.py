"""Step-conditional control (s1, section 3.2 and appendix): the prompt says how many steps to
think for, and the model counts them down (`<|im_start|>3 steps left`). With
`max_thinking_tokens` too, thinking is ended at the header of step 0 or at the cap ("+ BF")."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from s1_eval.methods.chain import DIALS, UNFORCED, BudgetForcing, answer_text, force
from s1_eval.methods.method import Axes, Budget, Dial, Method
from s1_eval.methods.policy import Policy, Question
from s1_eval.thinking import Outcome
from s1_eval.typed import Positive, Settings

STEPS_INSTRUCTION = "Think for up to {} steps."
"""What follows the question, after a blank line; training data says the same."""

TOKENS_PER_STEP = 100
"""What a step may cost: Control holds a run against 100 tokens x steps."""

_HEADER = re.compile(r"(\d{1,9}) steps? left")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepConditional(Settings):
    """The instruction, and the chain that follows it.

    steps: the number of steps that the prompt names.
    step_marker: what precedes the number in a step's header; with forcing, thinking stops at
        this marker followed by 0.
    """

    steps: Positive
    step_marker: str = "<|im_start|>"
    chain: BudgetForcing = UNFORCED


async def step_conditional(policy: Policy, question: Question, params: StepConditional) -> Outcome:
    """Ask for a number of steps; stop at zero only where a cap is set as well.

    A step's header begins like s1's end delimiter, so here the thinking ends at the whole end
    delimiter, not at its first token. `steps_written` counts the headers; 0 says that the model
    does not know the format.
    """
    delimiters = policy.delimiters
    forced = params.chain.max_thinking_tokens is not None
    zero = (f"{params.step_marker}0",) if forced else ()
    ends = (delimiters.format.body.rstrip(),)
    by_text = replace(delimiters, stop_ids=frozenset(), stop_strings=(*ends, *zero))
    policy = replace(policy, delimiters=by_text)
    suffix = STEPS_INSTRUCTION.format(params.steps)
    trace = await force(policy, policy.prompt_ids(question, suffix), params.chain)
    headers = _HEADER.findall(trace.text(policy.decode, "thinking"))
    return Outcome(answer_text(policy, trace), (trace,), extra={"steps_written": len(headers)})


def budget(params: StepConditional) -> Budget:
    return Budget(TOKENS_PER_STEP * params.steps, params.chain.min_thinking_tokens or None)


def sweep(name: str, axes: Axes) -> list[dict[str, Any]]:
    """Each number of steps asked for, alone and enforced at 100 tokens a step."""
    numbers = axes.numbers("steps", name)
    return [{"steps": n} for n in numbers] + [
        {"steps": n, "max_thinking_tokens": TOKENS_PER_STEP * n} for n in numbers
    ]


STEP_CONDITIONAL = Method(
    "step_conditional",
    StepConditional,
    step_conditional,
    "arXiv 2501.19393, section 3.2",
    dials=(Dial("steps"), *DIALS),
    sweep=sweep,
    budget=budget,
    asks="steps",
    forces=True,
    single=True,
)
