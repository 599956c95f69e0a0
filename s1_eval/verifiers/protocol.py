"""The verifier contract, on one page: score the steps of many chains of thought.

A verifier reads text: its tokenizer is its own, and how a question and its steps are laid out is
its format's business. Which traces are scored, and what the scores decide, is the methods'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from s1_eval.engines.architecture import Architecture


@dataclass(frozen=True, slots=True)
class VerifierInfo:
    """What a record must say about a verifier so that a stranger can repeat the run.

    engine: `transformers` or `vllm`. model: the name or path, as the user gave it.
    format: see `s1_eval.verifiers.formats`.
    step_separator: what parted the steps in its training; methods split there by default.
    context_length: question, steps and the format's own tokens together.
    fingerprint: a hash of the weights.
    settings: its engine's arguments, as `EngineInfo.settings`.
    architecture: what it computes for a token, its head left out; None where that is not known.
    """

    engine: str
    model: str
    format: str
    step_separator: str
    context_length: int
    dtype: str
    fingerprint: str
    versions: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    architecture: Architecture | None = None

    def to_dict(self) -> dict[str, Any]:
        """What tells the verifier from others, for a run record."""
        fields = asdict(self)
        del fields["architecture"]
        return fields


@dataclass(frozen=True, slots=True)
class Scored:
    """One chain, read by a verifier.

    scores: one per step, from 0 to 1, higher is better: how likely the chain is right up to
        there. NaN where the verifier can't tell, as for a step beyond its context.
    ends: how many tokens lie before the end of each step, those of the question included.
    opening: how many of them lie before the first step.
    seconds: this chain's share of the time that it was read in: by its tokens of a batch's time, or
        an equal one among what vLLM had in flight.
    """

    scores: tuple[float, ...]
    ends: tuple[int, ...]
    opening: int
    seconds: float = 0.0


class Verifier(Protocol):
    """Scores steps. Any number of calls may be in flight at once; they are batched together,
    and a beginning that was scored before is not read again."""

    @property
    def info(self) -> VerifierInfo: ...

    async def score(self, question: str, chains: Sequence[Sequence[str]]) -> list[Scored]:
        """One `Scored` per chain of steps, in order. A chain without steps has no scores.

        Raises RuntimeError when the verifier itself has failed.
        """
        ...

    def close(self) -> None:
        """Free the verifier. Calls in flight fail with RuntimeError."""
        ...
