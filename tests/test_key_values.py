import pytest

from s1_eval.errors import UserError
from s1_eval.key_values import key_values, split_pair


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("cap=64", 64),
        ("rate=1e-3", 0.001),  # a text to YAML, a number to JSON and to everybody else
        ("on=yes", True),
        ("none=null", None),
        ("none=", None),
        ("sizes=[1, 2]", [1, 2]),
        ('made={"a": true}', {"a": True}),
        ("left=a=b", "a=b"),
        ("odd=[1", "[1"),
        ("rate=NaN", "NaN"),
        ("ignore_string=yes", "yes"),
        ("thinking_format=[THINK]...[/THINK]", "[THINK]...[/THINK]"),
    ],
)
def test_a_value_is_what_it_spells_and_a_text_setting_stays_a_text(pair, value):
    assert list(key_values([pair], "-S").values()) == [value]


@pytest.mark.parametrize("pair", ["cap", "=64", ""])
def test_what_is_no_pair_is_refused_with_the_option_and_its_form(pair):
    with pytest.raises(UserError, match=rf"^-S {pair}: give KEY=VALUE$"):
        key_values([pair], "-S")


def test_a_pair_parts_at_its_first_or_its_last_sign():
    assert split_pair("a=b=c", "-S", "K=V") == ("a", "b=c")
    assert split_pair("a=b=c", "-S", "K=V", last=True) == ("a=b", "c")
    with pytest.raises(UserError, match="give K=V"):
        split_pair("a=", "-S", "K=V", filled=True)
