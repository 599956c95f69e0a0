"""The published AIME24 rows of s1 (arXiv 2501.19393, tables 3 and following) come out of their raw
rows: tokens and correct answers of each run, 30 questions."""

import pytest
import runs

from s1_eval.metrics import score

INSTRUCTED = (1024, 2048, 4096, 8192, 16384)


def token_conditional(thinking, correct, **cap):
    return [
        runs.run(
            runs.graded(c, 30),
            t,
            method="token_conditional",
            params={"tokens": n, **({"max_thinking_tokens": n} if cap else {})},
            budget=n,
        )
        for n, t, c in zip(INSTRUCTED, thinking, correct, strict=True)
    ]


def class_conditional():
    return [
        runs.run(runs.graded(c, 30), t, method="class_conditional", params={"length": length})
        for length, t, c in (("short", 8033, 9), ("default", 6109, 15), ("long", 9651, 11))
    ]


def published(value, digits=0):
    """Rounded as the paper prints it."""
    return round(value, digits)


@pytest.mark.parametrize(
    ("rows", "label", "control", "scaling", "performance"),
    [
        (
            token_conditional((7939, 7158, 8263, 7108, 7500), (8, 9, 10, 10, 12)),
            "token_conditional",
            *(40, -24, 40.0),
        ),
        (
            token_conditional((1024, 2048, 4031, 5664, 6330), (1, 9, 10, 10, 12), cap=True),
            "token_conditional+bf",
            *(100, 13, 40.0),
        ),
        (class_conditional(), "class_conditional", *(50, 25, 36.7)),
    ],
    ids=["token-conditional", "token-conditional + budget forcing", "class-conditional"],
)
def test_published_row(rows, label, control, scaling, performance):
    [entry] = score(rows, resamples=100)
    assert entry["method"] == label
    assert published(entry["control"]["value"]) == control
    assert published(entry["scaling"]["value"]) == scaling
    assert published(entry["performance"]["value"], 1) == performance


def test_the_published_scaling_of_token_conditional_hangs_on_one_pair():
    rows = token_conditional((7939, 7158, 8263, 7108, 7500), (8, 9, 10, 10, 12))
    [entry] = score(rows, resamples=100)
    assert entry["scaling"]["unstable"]
    assert "tokens=2048 and tokens=8192" in entry["scaling"]["note"]


def test_the_unprompted_run_is_no_member_of_class_conditional():
    [entry] = score(class_conditional(), resamples=100)
    assert entry["runs"] == 2
    assert [p["reference"] for p in entry["points"]] == [False, False, True]
