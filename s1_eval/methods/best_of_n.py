"""Best-of-N (arXiv 2408.03314, section 5; Hugging Face's "scaling test-time compute"): sample,
let a verifier score every sample, take the answer with the highest score (vanilla) or the highest
sum of scores over equal answers (weighted)."""

from __future__ import annotations

from dataclasses import dataclass

from s1_eval.methods.chain import DIALS
from s1_eval.methods.method import Dial, Method, widths
from s1_eval.methods.policy import Policy, Question
from s1_eval.methods.scoring import OPEN_MODELS, Scorer, VerifierGuided, choose, verified
from s1_eval.methods.voting import sample
from s1_eval.thinking import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfN(VerifierGuided):
    """The first k of `samples` samples are those of a run with k, and those of a majority vote."""


async def best_of_n(policy: Policy, question: Question, params: BestOfN) -> Outcome:
    """Sample, score, choose."""
    scorer = Scorer(policy, question, params.step_separator)
    traces = await sample(policy, question, params, params.samples)
    scores = await scorer.score(traces)
    answer, chosen, winner, extra = await choose(policy, question, traces, scores, params)
    return verified(answer, traces, chosen, winner, extra, scorer)


BEST_OF_N = Method(
    "best_of_n",
    BestOfN,
    best_of_n,
    f"arXiv 2408.03314; {OPEN_MODELS}",
    dials=(Dial("samples"), *DIALS),
    sweep=widths,
    sampled=True,
    verifier=True,
    chooses=True,
)
