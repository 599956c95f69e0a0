"""Finding the final answer in the answer part of a trace."""

import pytest

from s1_eval.answers.extract import NOTHING, extract, extract_option


@pytest.mark.parametrize(
    ("text", "answer", "rule"),
    [
        (r"so $\boxed{12}$, no: $\boxed{\frac{1}{2}}$.", r"\frac{1}{2}", "boxed"),
        (
            r"$\boxed{\left\{ x : x \in \{1\} \right\}}$",
            r"\left\{ x : x \in \{1\} \right\}",
            "boxed",
        ),
        (r"\fbox{7}", "7", "boxed"),
        (r"\boxed 7 is it", "7", "boxed"),
        (r"\boxed{5}. I put it in \boxed{} as asked.", "5", "boxed"),
        (r"\boxed{5}, not \boxed{6", "5", "boxed"),
        (r"\boxed{1} and $\boxed{2}$.", "1, 2", "boxed"),
        (r"\boxed{1} is wrong, I think it is \boxed{2}.", "2", "boxed"),
        (r"Answer: 3. But \boxed{4}.", "4", "boxed"),
        ("Final Answer: 204", "204", "after the marker"),
        ("\nFinal Answer: 204. The walk takes 24 minutes.", "204", "after the marker"),
        ("Answer: 1\nFinal Answer: 5.25", "5.25", "after the marker"),
        ("**Final Answer:** \n\n $x = 5$ since $2x = 10$", "x = 5", "after the marker"),
        ("**Answer**: Evelyn", "Evelyn", "after the marker"),
        ("Final Answer:\n\\[\n\\frac{3}{4}\n\\]\nas claimed", r"\frac{3}{4}", "after the marker"),
        ("Final Answer: The final answer is $16$. I hope it is correct.", "16", "after the marker"),
        ("Final Answer: $3$ and $5$", "3, 5", "after the marker"),
        ("Final Answer: since $x=3$ and $y=4$ we get $7$", "7", "after the marker"),
        ("Final Answer: 12, because 3 times 4", "12", "after the marker"),
        ("  x = 5 ", "x = 5", "whole text"),
        (r"864 \text{ square inches}", r"864 \text{ square inches}", "whole text"),
        ("no real solution", "no real solution", "whole text"),
        ("2abc + 3", "2abc + 3", "whole text"),
        ("We find $a=3$. Hence the value is $\\frac{1}{2}$.", r"\frac{1}{2}", "last formula"),
        ("there are $5$ boys and 12 girls here", "12", "last number"),
        (r"\boxed{3 of 4", "4", "last number"),
        ("in total there were 1,024 of them", "1,024", "last number"),
        ("it dropped by −3.5 units at night there", "−3.5", "last number"),
    ],
)
def test_final_answer_is_found_by_the_first_rule_that_applies(text, answer, rule):
    found = extract(text)
    assert (found.text, found.rule) == (answer, rule)


@pytest.mark.parametrize(
    "text",
    ["", "   ", "Final Answer:", "12 apples. Final Answer: \n", "I do not know what to say here",
     r"Put it in \boxed{}"],
)  # fmt: skip
def test_an_answer_that_never_came_is_nothing(text):
    assert extract(text) == NOTHING


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        (r"\boxed{C}", "C"),
        (r"$\boxed{\text{(C)}}$", "C"),
        (r"\boxed{C) 3 eV}", "C"),
        ("Answer: C", "C"),
        ("Final Answer: **C**", "C"),
        ("Final Answer: (c)", "C"),
        ("The correct answer is C. A is too large.", "C"),
        ("Answer: option B", "B"),
        ("C", "C"),
        ("C.", "C"),
        ("(C)", "C"),
        ("C) 3 eV", "C"),
        ("C. $3$ eV", "C"),
        ("3 eV", "C"),
        ("Final Answer: 3 eV.", "C"),
        (r"\boxed{3\text{ eV}}", "C"),
        ("A photon has less than that, so it must be (C) in the end", "C"),
        ("This rules out option A and leaves us with option C", "C"),
    ],
)
def test_option_is_named_by_its_letter_or_its_text(text, letter):
    options = ("1 eV", "2 eV", "3 eV", "4 eV")
    assert extract_option(text, options, "ABCD").text == letter


@pytest.mark.parametrize(
    "text",
    ["", "A photon is emitted", "A or B", "Answer: A or B", r"\boxed{E}", r"\boxed{5 eV}",
     "Final Answer:", "same", "A) is too low, B) too high", "D. melanogaster has four",
     "a) First we add.", "I can't say. Then: \\boxed{none of these}"],
)  # fmt: skip
def test_no_option_is_read_into_a_text_that_names_none_or_two(text):
    assert extract_option(text, ("same", "same", "3 eV", "4 eV"), "ABCD") == NOTHING


@pytest.mark.parametrize(
    "piece",
    [r"\boxed{", r"\boxed{}", "$", r"\(", r"\[ $", "{", "}", "\\", "Answer: ", "answer is ", "1,",
     "1.", "(A) ", "**A**", "option A", "\n", " ", "\x00", r"\text{", "-", "final ", "1,234"],
)  # fmt: skip
def test_hostile_texts_of_200_000_characters_are_searched_once(piece):
    text = piece * (200_000 // len(piece))
    extract(text)
    extract_option(text, ("1", "2", "3", "4"), "ABCD")
