import pytest

from s1_eval.number_lists import spelled


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("64", [64]),
        ("2^5", [32]),
        ("2^5..2^8", [32, 64, 128, 256]),
        ("2^3..2^3", [8]),
        ("256..1024:256", [256, 512, 768, 1024]),
        ("0..6:2", [0, 2, 4, 6]),
        ("7..7:3", [7]),
    ],
)
def test_a_range_is_the_numbers_that_it_spells(text, numbers):
    assert spelled(text) == numbers


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("32..4096", "write 32..4096:STEP, or powers of two"),
        ("2^8..2^5", r"write 2\^5..2\^8"),
        ("512..32:32", "write 32..512:32"),
        ("32..100:64", "ends at 96: write 32..96:64"),
        ("32..64:0", "step of 0"),
        ("0..99999:1", "100000 numbers"),
        ("2^1..2^63", "too large"),
        ("2^5..4096", "is no whole number: give whole numbers, powers of two as"),
        ("32:4096:32", "an even grid as 256..4096:256"),
        ("range(32, 64)", "no whole number"),
        ("32-4096", "no whole number"),
        ("2**5", "no whole number"),
        ("3^2..3^4", "no whole number"),
        ("1k", "no whole number"),
        ("", "no whole number"),
    ],
)
def test_what_is_no_range_is_refused_with_what_to_write(text, says):
    with pytest.raises(ValueError, match=says):
        spelled(text)
