"""Runs and entries that the report tests share."""

import pytest
import runs

from s1_eval.metrics import score


@pytest.fixture(scope="session")
def demo():
    """Runs as the demo makes them: plain, by caps, by number of Waits."""
    caps = [
        runs.run(
            runs.graded(c, 30), cap, params={"max_thinking_tokens": cap}, budget=cap, model="nano"
        )
        for cap, c in ((32, 4), (64, 9), (128, 15), (256, 20))
    ]
    waits = [
        runs.run(runs.graded(c, 30), 200 + 90 * n, params={"num_ignores": n})
        for n, c in ((0, 20), (1, 24), (2, 26))
    ]
    return [runs.run(runs.graded(20, 30), 200, method="plain"), *caps, *waits]


@pytest.fixture(scope="session")
def entries(demo):
    return score(demo, resamples=500)
