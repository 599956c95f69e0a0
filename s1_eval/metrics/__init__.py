"""Control, Scaling and Performance with honest intervals; the budget audit; pass@k."""

from s1_eval.metrics.advice import Advice, advise
from s1_eval.metrics.audit import Audit, audit
from s1_eval.metrics.entries import Entry
from s1_eval.metrics.pass_at_k import pass_at_k, run_pass_at_k
from s1_eval.metrics.scoring import difference, score, scored
from s1_eval.metrics.series import Series, series

__all__ = [
    "Advice",
    "Audit",
    "Entry",
    "Series",
    "advise",
    "audit",
    "difference",
    "pass_at_k",
    "run_pass_at_k",
    "score",
    "scored",
    "series",
]
