"""Best-of-N (arXiv 2408.03314, section 5; Hugging Face's "scaling test-time compute"): sample,
let a verifier score every sample, take the answer with the highest score (vanilla) or the highest
sum of scores over equal answers (weighted)."""

from __future__ import annotations

from dataclasses import dataclass

from s1_eval.methods.chain import DIALS, UNFORCED, BudgetForcing
from s1_eval.methods.method import Dial, Method, widths
from s1_eval.methods.policy import Policy, Question
from s1_eval.methods.scoring import OPEN_MODELS, USUAL, Guidance, Scorer, choose, verified
from s1_eval.methods.voting import sample
from s1_eval.thinking import Outcome
from s1_eval.typed import Positive, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfN(Settings):
    """samples: how many. The first k of them are those of a run with k, and of a majority vote."""

    samples: Positive
    guidance: Guidance = USUAL
    chain: BudgetForcing = UNFORCED


async def best_of_n(policy: Policy, question: Question, params: BestOfN) -> Outcome:
    """Sample, score, choose."""
    scorer = Scorer(policy, question, params.guidance)
    traces = await sample(policy, question, params.chain, params.samples)
    scores = await scorer.score(traces)
    answer, chosen, winner, extra = await choose(policy, question, traces, scores, params.guidance)
    return verified(answer, traces, chosen, winner, extra, scorer, scores)


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
