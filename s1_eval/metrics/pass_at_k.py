"""pass@k: the chance that at least one of k samples is right, without bias from n >= k samples
(Chen et al., arXiv 2107.03374, section 2.1)."""

from __future__ import annotations

import math
from fractions import Fraction

from s1_eval.errors import UserError
from s1_eval.metrics.points import tally
from s1_eval.records import Run


def pass_at_k(samples: int, correct: int, k: int) -> Fraction:
    """1 - C(n-c, k) / C(n, k), exact. Raises UserError unless 1 <= k <= n and 0 <= c <= n."""
    if not 1 <= k <= samples:
        raise UserError(
            f"pass@{k} from {samples} samples per question: choose k from 1 to {samples}, or take "
            "more epochs"
        )
    if not 0 <= correct <= samples:
        raise UserError(f"{correct} correct of {samples} samples: not possible")
    return 1 - Fraction(math.comb(samples - correct, k), math.comb(samples, k))


def run_pass_at_k(run: Run, k: int) -> Fraction:
    """Mean over the run's questions; its epochs are the samples."""
    t = tally(run)
    found = [pass_at_k(n, c, k) for n, c in zip(t.epochs, t.correct, strict=True)]
    return sum(found, Fraction(0)) / len(found)
