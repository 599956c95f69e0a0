"""The page that `s1-eval view` serves: how long 100,000 rows take to be opened and what they keep
in memory, how long a row takes to come, and for how long at most a chain of 100,000 characters with
some 1,300 formulas keeps the browser from answering. Goals: a minute, 300 MB, 100 ms, 200 ms.

    python benchmarks/page.py [--pictures FOLDER]

--pictures: sweep nano, and take the pictures of docs/view.md too. Needs Chromium on the PATH, and
`pip install 's1-eval[hf,serve]' playwright`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import runs  # noqa: E402
from viewing import long_text, read, segment, served  # noqa: E402

from s1_eval.cli.main import main as s1_eval  # noqa: E402
from s1_eval.records import RunWriter  # noqa: E402
from s1_eval.serve.view import app  # noqa: E402

ROWS = 100_000
LONG_TASKS = """
    window.blocked = [];
    new PerformanceObserver((list) => {
        for (const each of list.getEntries()) blocked.push(each.duration);
    }).observe({type: "longtask", buffered: true});
"""
SCROLL = """async () => {
    const chain = document.querySelector(".chain");
    for (let at = 0; at < chain.scrollHeight; at += 300) {
        chain.scrollTop = at;
        await new Promise(requestAnimationFrame);
    }
}"""


def many_rows(folder: Path) -> str:
    """A run of ROWS rows of 4 kB, one of them with a long chain; its id."""
    record = runs.record(task="many")
    with RunWriter(folder, record) as writer:
        row: Any = runs.row(record)
        for i in range(ROWS):
            text = long_text() if i == 0 else "x" * 3000
            trace = {"prompt": [], "segments": [segment(text)], "exit_reason": "natural"}
            told = {"sample_id": f"q{i}", "question": "Why?", "traces": [trace]}
            writer.append(row | told)
    return str(record["run_id"])


def chromium(playwright: Any) -> Any:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        sys.exit("no Chromium on the PATH: apt-get install chromium")
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


def opening(folder: Path) -> tuple[float, float]:
    """Seconds, and MB beyond what the imports take."""
    before, began = in_memory(), time.perf_counter()
    records = read(folder)
    seconds = time.perf_counter() - began
    assert records.runs
    return seconds, in_memory() - before


def in_memory() -> float:
    """MB of this process, as Linux counts them."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def opened(folder: Path, browser: Any) -> None:
    id = many_rows(folder)
    with multiprocessing.get_context("spawn").Pool(1) as alone:
        seconds, kept = alone.apply(opening, (folder,))
    size = sum(path.stat().st_size for path in folder.glob("*")) / 1e6
    print(f"{ROWS:,} rows of {size:.0f} MB opened: {seconds:.1f} s, {kept:.0f} MB more memory")
    with served(app(read(folder))) as address:
        times = []
        for i in range(0, ROWS, ROWS // 20):
            began = time.perf_counter()
            with urlopen(f"{address}api/runs/{id}/row?sample=q{i}") as answer:  # noqa: S310
                answer.read()
            times.append(1000 * (time.perf_counter() - began))
        print(f"a row: {sorted(times)[len(times) // 2]:.0f} ms, at most {max(times):.0f} ms")
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.add_init_script(LONG_TASKS)

        def worst(what: str) -> None:
            page.wait_for_timeout(500)
            longest = max(page.evaluate("blocked.splice(0)"), default=0)
            print(
                f"{what}: longest task {longest:.0f} ms" if longest else f"{what}: none over 50 ms"
            )

        page.goto(f"{address}#/run/{id}/q0/1")
        page.locator(".chain .katex").first.wait_for()
        worst("100,000 characters loaded")
        page.evaluate(SCROLL)
        worst("scrolled through")
        page.locator(".tools input").fill("needle")
        worst("searched for a word that is in every line")
        page.close()


def sweep_nano(folder: Path) -> None:
    """What the pictures show."""
    sweep = ("sweep", "--model", "s1_hf/nano", "--task", "nano", "--limit", "6")
    forced = ("--method", "budget_forcing", "--num-ignores", "0,2")
    s1_eval([*sweep, *forced, "--out", str(folder / "bf")])
    search = ("--method", "beam_search", "--samples", "8", "--verifier", "nano-prm")
    s1_eval([*sweep, *search, "--out", str(folder / "search")])


def pictures(folder: Path, to: Path, browser: Any) -> None:
    records = read(folder)
    by_label = {run.label: run for run in records.runs.values()}
    beam = by_label["beam_search, samples=8"]
    waits, none = by_label["budget_forcing, num_ignores=2"], by_label["budget_forcing"]
    question = beam.in_order[-1].sample_id
    to.mkdir(parents=True, exist_ok=True)
    with served(app(records)) as address:
        for name, path, height, scheme in (
            ("side_by_side", f"{waits.id}/{question}/1?with={none.id}:1", 1050, "light"),
            ("search", f"{beam.id}/{question}/1", 900, "dark"),
        ):
            size = {"width": 1100, "height": height}
            page = browser.new_page(viewport=size, color_scheme=scheme)
            page.goto(f"{address}#/run/{path}")
            page.locator(".chain").first.wait_for()
            page.wait_for_timeout(500)
            page.screenshot(path=to / f"{name}.png")
            page.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, help="folder for the pictures of docs/view.md")
    args = parser.parse_args()
    from playwright.sync_api import sync_playwright

    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} CPUs")
    with tempfile.TemporaryDirectory() as folder:
        if args.pictures:
            sweep_nano(Path(folder) / "nano")
        with sync_playwright() as playwright:
            browser = chromium(playwright)
            if args.pictures:
                pictures(Path(folder) / "nano", args.pictures, browser)
            opened(Path(folder) / "many", browser)
            browser.close()


if __name__ == "__main__":
    main()
