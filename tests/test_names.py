import pytest

from s1_eval.names import choose_from, file_name, nearest, slug


def test_a_name_that_is_nearly_right_is_answered_by_the_right_one_and_all_others():
    known = {"nano": 1, "aime24": 2}
    assert choose_from("nanno", known) == "did you mean 'nano'? choose from nano, aime24"
    assert choose_from("zzz", known) == "choose from nano, aime24"
    assert nearest("nanno", known, cutoff=0.95) is None


@pytest.mark.parametrize(
    ("text", "made"), [("Qwen/Qwen3 8B", "qwen-qwen3-8b"), ("a_b-1", "a_b-1"), ("é" * 3, "-")]
)
def test_a_slug_has_letters_that_every_file_system_takes(text, made):
    assert slug(text) == made
    assert len(slug("x" * 99)) == 60
    assert slug("cap=4", keep="=") == "cap=4"


def test_different_texts_are_different_files_though_their_slugs_are_one():
    assert slug("a/b") == slug("a b")
    assert file_name("a/b") != file_name("a b")
    assert file_name("plain") == "plain"
