"""The table of methods: a method is its settings, its coroutine and the paper it comes from.
Adding one touches its own file, this table and its test."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from s1_eval.errors import UserError
from s1_eval.methods.beam_search import BeamSearch, beam_search
from s1_eval.methods.best_of_n import BestOfN, best_of_n
from s1_eval.methods.budget_forcing import BudgetForcing, budget_forcing
from s1_eval.methods.class_conditional import ClassConditional, class_conditional
from s1_eval.methods.dvts import DVTS, dvts
from s1_eval.methods.majority_vote import MajorityVote, majority_vote
from s1_eval.methods.plain import Plain, plain
from s1_eval.methods.policy import Policy, Question
from s1_eval.methods.rebase import Rebase, rebase
from s1_eval.methods.rejection_sampling import RejectionSampling, rejection_sampling
from s1_eval.methods.self_refine import SelfRefine, self_refine
from s1_eval.methods.sets import Sets, sets
from s1_eval.methods.step_conditional import StepConditional, step_conditional
from s1_eval.methods.token_conditional import TokenConditional, token_conditional
from s1_eval.thinking import Outcome


@dataclass(frozen=True, slots=True)
class Method:
    """settings: a frozen dataclass that validates itself; run: the coroutine it configures;
    verifier: it needs one. forces: it forces thinking, and has no meaning without any."""

    settings: type[Any]
    run: Callable[[Policy, Question, Any], Awaitable[Outcome]]
    source: str
    verifier: bool = False
    forces: bool = False


_OPEN_MODELS = "Hugging Face, scaling test-time compute with open models"
_S1_CONTROL = "arXiv 2501.19393, section 3.2"

METHODS: Mapping[str, Method] = {
    "plain": Method(Plain, plain, "unforced run"),
    "budget_forcing": Method(
        BudgetForcing, budget_forcing, "arXiv 2501.19393, section 3.1", forces=True
    ),
    "token_conditional": Method(TokenConditional, token_conditional, _S1_CONTROL, forces=True),
    "step_conditional": Method(StepConditional, step_conditional, _S1_CONTROL, forces=True),
    "class_conditional": Method(ClassConditional, class_conditional, _S1_CONTROL, forces=True),
    "rejection_sampling": Method(
        RejectionSampling,
        rejection_sampling,
        "arXiv 2501.19393, sections 3.2 and 5.2",
        forces=True,
    ),
    "majority_vote": Method(MajorityVote, majority_vote, "arXiv 2203.11171"),
    "best_of_n": Method(BestOfN, best_of_n, f"arXiv 2408.03314; {_OPEN_MODELS}", verifier=True),
    "beam_search": Method(
        BeamSearch, beam_search, f"arXiv 2408.03314; {_OPEN_MODELS}", verifier=True
    ),
    "dvts": Method(DVTS, dvts, _OPEN_MODELS, verifier=True),
    "rebase": Method(Rebase, rebase, "arXiv 2408.00724", verifier=True),
    "self_refine": Method(SelfRefine, self_refine, "arXiv 2303.17651"),
    "sets": Method(Sets, sets, "arXiv 2501.19306"),
}


def method(name: str) -> Method:
    """The method called `name`. Raises UserError with the nearest names otherwise."""
    if name not in METHODS:
        raise UserError(f"unknown method {name!r}{_nearest(name, METHODS)}")
    return METHODS[name]


def settings(name: str, params: Mapping[str, Any]) -> Any:
    """The validated settings of method `name`. Raises UserError on an unknown parameter."""
    cls = method(name).settings
    known = [f.name for f in dataclasses.fields(cls)]
    for key in params:
        if key not in known:
            raise UserError(f"{name} has no parameter {key!r}{_nearest(key, known)}")
    missing = [
        f.name
        for f in dataclasses.fields(cls)
        if f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
        and f.name not in params
    ]
    if missing:
        raise UserError(f"{name} needs {', '.join(missing)}: give e.g. {missing[0]}=…")
    return cls(**params)


def _nearest(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f": {hint}choose from {', '.join(known)}"
