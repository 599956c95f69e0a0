"""What thinking and answering through this stack costs over plain `LLM.generate`, on vLLM.

    python benchmarks/overhead.py

The opponent samples, for each question, as many tokens in one request as our stack samples in one
or two. What a second request costs does not depend on the length of the thinking, so it is measured
with nano's own, which is short, and with at least 256 and 768 tokens, which is nearer to the models
that people evaluate; a minimum needs the second request always. Goals: at most 1.08, 1.05 and 1.03
of its time.
"""

from __future__ import annotations

from functools import partial

from side_by_side import start

from s1_eval.methods.chain import BudgetForcing

LEAST = (0, 256, 768)


def main() -> None:
    bench = start(__doc__, 64)
    print(f"{'at least':>9}{'tokens':>9}{'plain s':>9}{'ours s':>9}{'ratio':>8}")
    for least in LEAST:
        params = BudgetForcing(
            max_thinking_tokens=900, min_thinking_tokens=least, max_answer_tokens=16
        )
        lengths = [trace.generated_tokens for trace in bench.forced(params)]
        limits = [{"max_tokens": length} for length in lengths]
        plain, ours = bench.in_turns(
            partial(bench.generate, bench.prompts, limits), partial(bench.forced, params)
        )
        print(f"{least:9}{sum(lengths):9}{plain:9.2f}{ours:9.2f}{ours / plain:8.3f}")


if __name__ == "__main__":
    main()
