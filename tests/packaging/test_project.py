"""The files around the package agree with it."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import yaml

from s1_eval import __version__

ROOT = Path(__file__).parent.parent.parent


def test_no_file_is_a_link() -> None:
    done = subprocess.run(
        ["git", "ls-files", "--stage"],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    lines = done.stdout.splitlines()
    assert lines
    assert not [line for line in lines if line.startswith("120000")]


def test_the_version_is_the_same_everywhere() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"] == __version__
    [newest, *_] = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert newest == __version__


def test_workflows_and_documents_name_environments_that_tox_has() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    known = {name.removeprefix("testenv:") for name in tox.sections()} | {"test"}
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    matrices = [
        job.get("strategy", {}).get("matrix", {}).get("environment", [])
        for path in workflows
        for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values()
    ]
    named = {name for matrix in matrices for name in matrix}
    for path in (*workflows, ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for names in re.findall(r"tox run -e ([\w,]+)", path.read_text("utf-8")):
            named |= set(names.split(","))
    assert {"docs", "lint", "lowest", "newest", "test"} <= named <= known
