"""Recorded runs behind the page, to be read and nothing else: `s1-eval view`. No model, no network,
no path in any request: runs and rows are asked for by their ids.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import BENCHMARKS, DATA_VARIABLE, benchmark
from s1_eval.evaluation.grading import grouper
from s1_eval.json_lines import JsonObject
from s1_eval.metrics.series import describe
from s1_eval.names import natural
from s1_eval.records import Reader, Run, read_rows, read_runs
from s1_eval.records.run import UNKNOWN
from s1_eval.serve import page
from s1_eval.serve.records import Entry, Records, ShownRun
from s1_eval.serve.showing import shown_chain, shown_row, told_answer
from s1_eval.thinking.render import printable

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_MOST = 500
"""Rows of one answer."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what is bound to it."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def app(records: Records, host: str = "127.0.0.1") -> Starlette:
    """host: where it is bound. Beyond this machine the texts of a run are withheld unless its
    benchmark is known to be no secret: they repeat its questions. On this machine only names of
    this machine are answered to, so that no page of others reaches it through a name of theirs."""
    local = is_loopback(host)
    view = _View(records, local)
    guards = [Middleware(GZipMiddleware)]
    if local:
        guards.insert(0, Middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, host]))
    return Starlette(
        routes=[*page.routes({"recorded": True, "live": None}), *view.routes()],
        middleware=guards,
        exception_handlers={UserError: _told, HTTPException: _refused},
    )


class _View:
    def __init__(self, records: Records, local: bool) -> None:
        self._records, self._local = records, local

    def routes(self) -> list[Route]:
        """Plain functions: Starlette runs them in threads, so that a slow disk stops nobody."""
        one = "/api/runs/{run_id}"
        return [
            Route("/api/runs", self.runs),
            Route(f"{one}/rows", self.rows),
            Route(f"{one}/row", self.row),
            Route(f"{one}/chain", self.chain),
            Route(f"{one}/at-k", self.at_k),
            Route(f"{one}/advice", self.advice),
        ]

    def runs(self, request: Request) -> Response:
        """By what they were asked, then by their settings."""
        runs = self._records.runs.values()
        ordered = sorted(
            runs, key=lambda r: (r.record["task"], r.record["model"], natural(r.label))
        )
        return answer([_summary(run) for run in ordered])

    def rows(self, request: Request) -> Response:
        """A part of a run's rows, in the order of their ids."""
        run, asked = self._run(request), request.query_params
        found = run.found(asked.get("find", ""), asked.get("only", ""))
        start = _whole(asked.get("from", "0"))
        part = found[start : start + _MOST]
        rows = [_listed(entry, self._may_show(run)) for entry in part]
        return answer({"run": _summary(run), "total": len(found), "from": start, "rows": rows})

    def row(self, request: Request) -> Response:
        """One row whole, but for the texts of its chains, with where one can go from it."""
        run, entry = self._entry(request)
        row = self._records.row(run.id, *entry.key)
        before, behind = run.beside(entry, request.query_params.get("only", ""))
        counted = self._records.knows_tokens(row)
        question = row.get("question") or _question(run, entry.sample_id)
        may = self._may_show(run)
        shown = shown_row(row, run.record, question, texts=may, counted=counted)
        others = self._records.on_the_same_question(run, entry)
        return answer(
            {
                **shown,
                "run": _named(run),
                "previous": before and _listed(before, may),
                "next": behind and _listed(behind, may),
                "others": [
                    {"run": _named(other), **_listed(each, self._may_show(other))}
                    for other, each in others
                ],
            }
        )

    def chain(self, request: Request) -> Response:
        """The texts of one chain."""
        run, entry = self._entry(request)
        if not self._may_show(run):
            raise HTTPException(403, _withheld(run))
        row = self._records.row(run.id, *entry.key)
        try:
            return answer(shown_chain(row, _whole(request.query_params.get("chain", "0"))))
        except IndexError:
            raise HTTPException(404, f"this row has no such chain in run {run.id}") from None

    def at_k(self, request: Request) -> Response:
        """The curves of a run; read anew, since this needs the numbers of all its rows."""
        from s1_eval.metrics.at_k import at_k

        [run] = self._whole([self._run(request)])
        return answer(at_k(run, grouper(run)))

    def advice(self, request: Request) -> Response:
        """What the runs of one model by one method advise, on the questions that this run was
        asked."""
        from s1_eval.metrics.advice import advise

        about = self._run(request)
        same = [
            each
            for each in self._records.runs.values()
            if (each.benchmark, each.record["model"], each.record["method"])
            == (about.benchmark, about.record["model"], about.record["method"])
        ]
        runs = self._whole(same)
        found = advise(runs, read_rows(runs, self._readers(same)))
        return answer(
            [
                {
                    "varied": printable(each["varied"]),
                    "held": printable(describe("", each["held"]).lstrip(", ")),
                    "said": [printable(said) for said in each["sentences"]],
                    "notes": [printable(note) for note in each["notes"]],
                    "curves": each["curves"],
                    "questions": each["questions"],
                    "at": each["at"].replace("_", " "),
                }
                for each in found
            ]
        )

    def _whole(self, shown: Sequence[ShownRun]) -> list[Run]:
        """Raises UserError where one of them is not finished."""
        sources = dict.fromkeys(source for run in shown for source in run.sources)
        ids = {run.id for run in shown}
        return [run for run in read_runs(sources, self._readers(shown)) if run.id in ids]

    def _readers(self, shown: Sequence[ShownRun]) -> tuple[Reader, ...]:
        return tuple(dict.fromkeys(reader for run in shown for reader in run.sources.values()))

    def _run(self, request: Request) -> ShownRun:
        run = self._records.runs.get(request.path_params["run_id"])
        if run is None:
            raise HTTPException(404, "there is no such run here: it was recorded elsewhere?")
        return run

    def _entry(self, request: Request) -> tuple[ShownRun, Entry]:
        run, asked = self._run(request), request.query_params
        entry = run.entries.get((asked.get("sample", ""), _whole(asked.get("epoch", "1"))))
        if entry is None:
            raise HTTPException(404, f"run {run.id} has no such question")
        return run, entry

    def _may_show(self, run: ShownRun) -> bool:
        return self._local or run.record.get("secret") is False


def _question(run: ShownRun, sample_id: str) -> str | None:
    """A question that its row does not hold, of a benchmark whose data is on this machine."""
    dataset = run.record.get("dataset") or UNKNOWN
    return _local(run.record["task"], dataset.get("fingerprint")).get(sample_id)


@lru_cache(4)
def _local(task: str, fingerprint: str | None) -> Mapping[str, str]:
    """Questions by their ids; none unless they are those that were asked."""
    known = benchmark(task) if task in BENCHMARKS else None
    if known is None or (known.hub and not (known.file and os.environ.get(DATA_VARIABLE))):
        return {}
    try:
        data = known.load()
    except UserError:
        return {}
    return {each.id: each.prompt for each in data.samples if data.fingerprint == fingerprint}


def _withheld(run: ShownRun) -> str:
    return (
        f"the texts of {printable(run.record['task'])} are shown on the machine itself alone: its "
        "authors ask that no question be published, or nobody says whether they do"
    )


def _summary(run: ShownRun) -> JsonObject:
    """A run in a list."""
    entries = run.entries.values()
    counts = [each.thinking_tokens for each in entries]
    known = [count for count in counts if count is not None]
    return {
        **_named(run),
        "rows": len(entries),
        "planned": run.record.get("planned_samples"),
        "verdicts": Counter(each.verdict for each in entries),
        "thinking_tokens": sum(known) / len(known) if len(known) == len(counts) else None,
        "samples": run.record["method_params"].get("samples"),
    }


def _named(run: ShownRun) -> JsonObject:
    return {
        "id": run.id,
        "label": printable(run.label),
        **{name: printable(run.record[name]) for name in ("model", "task", "method", "harness")},
        "budget": run.budget,
    }


def _listed(entry: Entry, texts: bool) -> JsonObject:
    return {
        "sample_id": entry.sample_id,
        "name": printable(entry.sample_id),
        "epoch": entry.epoch,
        "verdict": entry.verdict,
        "target": printable(entry.target),
        "answer": told_answer(entry.answer, texts),
        "thinking_tokens": entry.thinking_tokens,
        "exit_reason": entry.exit_reason,
    }


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise HTTPException(400, "give a whole number")
    return int(text)


def answer(value: Any, status: int = 200) -> Response:
    """JSON in plain ASCII: texts may hold halves of characters, which have no other form."""
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    text = json.dumps(value, allow_nan=False)
    return Response(text, status, headers, media_type="application/json")


def _told(request: Request, error: Exception) -> Response:
    return answer({"error": printable(str(error))}, 409)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return answer({"error": error.detail}, error.status_code)
