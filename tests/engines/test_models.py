"""A model's name means the embedded model, a folder, or a name on the Hub."""

from __future__ import annotations

import pytest

from s1_eval.engines.models import resolve_model
from s1_eval.errors import UserError


def test_a_folder_with_a_model_is_taken_as_it_is(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert resolve_model(str(tmp_path)) == str(tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"without a config\.json"):
        resolve_model(str(tmp_path))


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "a/b/c", "", "~/nowhere"])
def test_what_is_neither_a_folder_nor_a_hub_name_is_refused(name):
    with pytest.raises(UserError, match="there is no model folder"):
        resolve_model(name)


def test_a_hub_name_is_left_to_the_loader():
    assert resolve_model("simplescaling/s1.1-32B") == "simplescaling/s1.1-32B"
