# ruff: noqa: S311
"""Nano's traces: every value with loss is right, instructions fit, cuts are forced ends."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest

from s1_eval.errors import UserError
from s1_eval.methods.class_conditional import PROMPTS
from s1_eval.training.examples import IGNORED, Example, Span, tokenize
from s1_eval.training.nano.problems import Problem, judge
from s1_eval.training.nano.source import Nano
from s1_eval.training.nano.tokenizer import PIECES, build
from s1_eval.training.nano.traces import example, think

PROBLEM = Problem(47, ((("*", 8),), (("+", 5),), (("*", 7), ("*", 6)), (("-", 1), ("*", 3))))
WAITS = (116, 48, 20, 9, 4, 2, 1)


@pytest.fixture(scope="module")
def tokenizer():
    return build()


@pytest.fixture(scope="module")
def examples():
    rng = random.Random(3)
    return [example(rng, WAITS) for _ in range(1500)]


def text(example: Example) -> str:
    return "".join(span.text for span in example.completion)


def thinking(example: Example) -> str:
    return text(example).removeprefix("<|im_start|>think").rpartition("<|im_start|>answer")[0]


def problem(example: Example) -> Problem:
    question, _, _ = example.question.partition("\n\n")
    start, *steps = re.findall(r"^[A-Z]=?(.*)$", question, re.M)[1:]
    parsed = tuple(tuple((s, int(n)) for s, n in re.findall(r"([*+-])(\d)", x)) for x in steps)
    return Problem(int(start), parsed)


def learned(example: Example, tokenizer) -> list[tuple[str, bool]]:
    row = tokenize(example, tokenizer)
    return [
        (tokenizer.decode([id]), label != IGNORED)
        for id, label in zip(row["input_ids"], row["labels"], strict=True)
    ]


def test_a_draft_with_slips_is_mended_by_enough_checks():
    rng = random.Random(0)
    for _ in range(200):
        lines = "".join(s.text for line in think(PROBLEM, rng, 8) for s in line.spans)
        assert lines.endswith((" ok\n", f"D-1*3={PROBLEM.target}\n"))
        assert lines.count("Wait") + lines.count("Hmm") + lines.count("Alternatively") == 8


@pytest.mark.parametrize(("slips", "slipped"), [((0, 0), ""), ((1, 0), "AB"), ((0, 1), "CD")])
def test_a_step_slips_as_often_as_steps_of_its_kind_do(slips, slipped):
    lines = list(think(PROBLEM, random.Random(0), 0, slips))[1:]
    assert len({letter for line in lines if (letter := line.spans[0].text[0])}) == 4
    wrong = [line.spans[0].text[0] for line in lines if not line.spans[1].learn]
    assert "".join(wrong) == slipped


def test_a_check_stops_at_the_first_error_and_drafts_the_rest_again():
    rng = random.Random(0)
    for _ in range(200):
        lines = ["".join(s.text for s in line.spans) for line in think(PROBLEM, rng, 1)]
        fixes = [i for i, line in enumerate(lines) if line.endswith(" fix\n")]
        assert len(fixes) <= 1
        for i in fixes:
            assert lines[i + 1][0] == lines[i][0]
            assert [line[0] for line in lines[i + 2 :]] == [
                chr(ord(lines[i][0]) + k) for k in range(1, len(lines) - i - 1)
            ]


def test_checking_lines_are_right_and_only_slips_lose_their_loss(examples):
    """A value without loss is one that its own line's arithmetic contradicts, and the reverse."""
    slips = 0
    for e in examples:
        position = 0
        marks = [span.learn for span in e.completion for _ in span.text]
        body = text(e)
        value = None
        for line in body.splitlines(keepends=True):
            if line.startswith("S="):
                value = int(line[2:4]) if re.fullmatch(r"S=\d\d\n", line) else None
            elif (m := re.fullmatch(r"[A-L]((?:[*+-]\d)+)=(\d\d)\n", line)) and value is not None:
                right = value
                for sign, n in re.findall(r"([*+-])(\d)", m[1]):
                    right = {"*": right * int(n), "+": right + int(n), "-": right - int(n)}[sign]
                at = position + m.start(2)
                assert all(marks[at : at + 2]) == (right % 100 == int(m[2])), (line, body)
                slips += right % 100 != int(m[2])
                value = int(m[2])
            elif m := re.search(r"=(\d\d) was \d\d ok", line):  # after a fix the step is redone
                value = int(m[1])
            position += len(line)
        for line, right in judge(problem(e), thinking(e)):
            assert right is not False or " was " not in line, (line, body)
    assert slips > 100


def test_an_answer_with_loss_is_the_true_one(examples):
    guessed = 0
    for e in examples:
        answer = next(s for s in reversed(e.completion) if re.search(r" \d\d", s.text))
        if answer.learn:
            assert f" {problem(e).target}<|im_end|>" in text(e)
            guessed += f"={problem(e).target}" not in thinking(e)
    assert guessed > 50


def test_nothing_before_the_thinking_carries_loss_and_its_delimiter_neither(examples, tokenizer):
    for e in examples[:200]:
        tokens = learned(e, tokenizer)
        start = [t for t, _ in tokens].index("think")
        assert not any(loss for _, loss in tokens[: start + 1])
        assert tokens[start + 1] == ("\n", True)


def test_a_cut_is_not_learned_and_a_natural_end_is(examples, tokenizer):
    cuts = 0
    for e in examples:
        tokens = learned(e, tokenizer)
        last = max(i for i, (t, _) in enumerate(tokens) if t == "<|im_start|>")
        ending = tokens[last : last + 4]
        assert [t for t, _ in ending] == ["<|im_start|>", "answer", "\n", "Final Answer:"]
        assert len({loss for _, loss in ending}) == 1
        cut = not ending[0][1]
        cuts += cut
        assert tokens[last - 1][0] == "\n"
        assert tokens[-1] == ("<|im_end|>", True)
    assert 0.1 < cuts / len(examples) < 0.2


def test_no_trace_is_cut_and_nothing_instructed_where_the_source_says_so(tokenizer):
    source = Nano(examples=300, waits=WAITS, max_steps=5, instructed=False, cut_share=0.0)
    for e in source:
        assert "\n\n" not in e.question
        assert len(problem(e).steps) <= 5
        tokens = learned(e, tokenizer)
        last = max(i for i, (t, _) in enumerate(tokens) if t == "<|im_start|>")
        assert tokens[last][1]


def test_every_trace_is_cut_where_the_source_says_so(tokenizer):
    thoughts = set()
    for e in Nano(examples=300, waits=WAITS, max_steps=5, instructed=False, cut_share=1.0):
        tokens = learned(e, tokenizer)
        last = max(i for i, (t, _) in enumerate(tokens) if t == "<|im_start|>")
        assert not any(loss for _, loss in tokens[last : last + 4])
        assert text(e).endswith(f"Final Answer: {problem(e).target}<|im_end|>")
        assert any(loss for _, loss in tokens[:last])
        thoughts.add(len(tokens[:last]))
    assert len(thoughts) > 50


def test_of_what_is_cut_the_answer_alone_carries_loss_where_the_source_says_so(tokenizer):
    answers = 0
    source = {"waits": WAITS, "max_steps": 5, "instructed": False, "learn_cut": False}
    for e in Nano(examples=300, cut_share=1.0, **source):
        carried = "".join(token for token, loss in learned(e, tokenizer) if loss)
        assert carried in (f" {problem(e).target}<|im_end|>", "<|im_end|>")
        answers += len(carried) > len("<|im_end|>")
    assert answers > 100
    whole = {**source, "examples": 300, "cut_share": 0.0}
    assert [*Nano(**whole)] == [*Nano(**whole | {"learn_cut": True})]


def test_a_source_whose_traces_would_be_wrong_in_a_tokenizer_is_refused(tokenizer):
    source = Nano(examples=1, waits=WAITS)
    source.refuse(tokenizer, "nano")
    tokenizer = Words({"<|im_start|>": 0})
    with pytest.raises(UserError, match=r"give source\.nano\.instructed: false"):
        source.refuse(tokenizer, "other")
    replace(source, instructed=False).refuse(tokenizer, "other")
    with pytest.raises(UserError, match=r"no token <\|im_start\|>"):
        replace(source, instructed=False).refuse(Words({"a": 0}), "other")


class Words(dict[str, int]):
    """A tokenizer as far as its vocabulary goes."""

    def get_vocab(self) -> dict[str, int]:
        return self


def test_instructions_are_the_methods_own_words(examples):
    suffixes = {e.question.partition("\n\n")[2] for e in examples}
    assert {"", PROMPTS["short"], PROMPTS["long"]} < suffixes
    for suffix in suffixes - {"", PROMPTS["short"], PROMPTS["long"]}:
        match = re.fullmatch(r"Think for up to (\d+) (tokens|steps)\.", suffix)
        assert match, suffix
        assert int(match[1]).bit_count() == 1
    share = sum("\n\n" in e.question for e in examples) / len(examples)
    assert 0.28 < share < 0.40


def test_step_traces_count_down_from_the_number_they_were_given(examples):
    seen = 0
    for e in examples:
        given = re.search(r"up to (\d+) steps", e.question)
        headers = re.findall(r"<\|im_start\|>(\d+) steps left\n", thinking(e))
        if given:
            assert [int(h) for h in headers] == [int(given[1]) - i for i in range(len(headers))]
            seen += len(headers) > 1
        else:
            assert not headers
    assert seen > 50


def test_most_unprompted_traces_keep_within_the_instructed_tokens(examples):
    fits = []
    for e in examples:
        if given := re.search(r"up to (\d+) tokens", e.question):
            fits.append(len(PIECES.findall(thinking(e))) <= int(given[1]))
    assert 0.7 < sum(fits) / len(fits) < 1


def test_the_same_seed_gives_the_same_traces():
    first, second = random.Random(5), random.Random(5)
    assert [example(first, WAITS) for _ in range(20)] == [example(second, WAITS) for _ in range(20)]


def test_a_token_that_reaches_into_a_span_without_loss_carries_none(tokenizer):
    e = Example("x", (Span("4"), Span("2 w", learn=False), Span("as 7 ok")))
    assert [t for t, loss in learned(e, tokenizer) if loss] == ["4", "7", " ok"]
