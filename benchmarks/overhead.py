"""What thinking and answering through this stack costs over plain `LLM.generate`, on vLLM.

    python benchmarks/overhead.py

The opponent samples, for each question, as many tokens in one request as our stack samples in its
two. Goal: at most 1.08 of its time.
"""

from __future__ import annotations

from side_by_side import start

from s1_eval.methods.budget_forcing import BudgetForcing

PARAMS = BudgetForcing(max_thinking_tokens=512, max_answer_tokens=16)


def main() -> None:
    bench = start(__doc__)
    lengths = [trace.generated_tokens for trace in bench.forced(PARAMS)]
    limits = [{"max_tokens": length} for length in lengths]
    plain, ours = bench.in_turns(
        lambda: bench.generate(bench.prompts, limits), lambda: bench.forced(PARAMS)
    )
    print(f"plain LLM.generate {plain:8.2f} s {sum(lengths):10} tokens")
    print(f"this stack         {ours:8.2f} s {sum(lengths):10} tokens")
    print(f"ratio {ours / plain:.3f}   (goal: at most 1.08)")


if __name__ == "__main__":
    main()
