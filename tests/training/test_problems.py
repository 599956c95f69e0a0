# ruff: noqa: S311, S603
"""Chain arithmetic: what a question says, which split it is in, how a trace is judged."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys

import pytest

from s1_eval.evaluation.benchmark import benchmark
from s1_eval.training.main import main
from s1_eval.training.nano.problems import Problem, held_out, judge, training

PROBLEM = Problem(47, ((("*", 8),), (("+", 5),), (("*", 7), ("*", 6))))

THINKING = """\

S=47
A*8=76
B+5=81
C*7*6=24
Wait, let me check.
S=47
A*8=76 was 76 ok
B+5=81 was 81 ok
C*7=67*6=02 was 24 fix
C*7*6=02
"""


def test_a_question_lists_its_steps_and_the_target_is_the_last_value():
    assert PROBLEM.question == "Compute mod 100.\nS=47\nA*8\nB+5\nC*7*6"
    assert PROBLEM.values == (76, 81, 2)
    assert PROBLEM.target == "02"


def test_values_stay_between_0_and_99_below_zero_too():
    assert Problem(3, ((("-", 9),),)).values == (94,)


def test_training_never_draws_a_held_out_problem():
    asked = {problem.question for problem in held_out()}
    rng = random.Random(0)
    drawn = [training(rng, max_steps=3) for _ in range(5000)]
    assert not any(problem.held_out for problem in drawn)
    assert asked.isdisjoint(problem.question for problem in drawn)


def test_held_out_problems_differ_and_all_carry_the_mark():
    problems = held_out()
    assert len({problem.id for problem in problems}) == 500
    assert all(problem.held_out for problem in problems)


def test_the_benchmark_is_the_same_on_every_machine_and_python():
    text = "\n\n".join(f"{p.id}\n{p.question}\n{p.target}" for p in held_out())
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "e60425354389e0f3"


def test_fewer_problems_are_the_first_of_more():
    assert held_out(7) == held_out()[:7]


def test_the_command_writes_what_the_benchmark_reads(tmp_path, capsys):
    file = tmp_path / "questions.jsonl"
    assert main(["problems", str(file), "--problems", "30", "--max-steps", "3"]) == 0
    samples = benchmark("nano").load(str(file)).samples
    assert [sample.target for sample in samples] == [p.target for p in held_out(30, max_steps=3)]
    assert {sample.prompt.count("\n") - 1 for sample in samples} == {2, 3}
    assert main(["problems", str(file), "--max-steps", "13"]) == 2
    assert "--max-steps=13: give 2 to 12" in capsys.readouterr().err


def test_each_line_is_judged_against_the_truth():
    assert [right for _, right in judge(PROBLEM, THINKING)] == [
        None,
        *(True, True, True, False),
        None,
        *(True, True, True, True, True),
    ]


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("S=48", False),
        ("A*8=77", False),
        ("A*9=23", False),
        ("D*8=76", False),
        ("C*7=66*6=02 was 24 fix", False),
        ("A*8=76 was 76 fix", False),
        ("A*8=76 was 75 ok", False),
        ("A*8=76 was 75 fix", False),
        ("A*8=7", None),
        ("", None),
        ("<|im_start|>3 steps left", None),
    ],
)
def test_a_wrong_line_is_wrong_and_a_line_without_a_value_is_neither(line, right):
    *_, (_, found) = judge(PROBLEM, f"S=47\nA*8=76\nB+5=81\nC*7*6=24\n{line}\n")
    assert found is right


def test_values_drawn_from_a_wrong_value_are_wrong():
    lines = list(judge(PROBLEM, "S=47\nA*8=70\nB+5=75\n"))
    assert [right for _, right in lines] == [True, False, False]


def test_problems_load_without_any_library():
    code = (
        "import sys; import s1_eval.training.nano.problems; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'numpy', 'yaml')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
