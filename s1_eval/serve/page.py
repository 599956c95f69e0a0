"""The page's own files: one page and its modules, which ask nothing of any other server. What it
shows comes from whoever mounts it, see `view` for recorded runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}


class Guarded:
    """What it wraps, with headers that let nothing run but our own files."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, guarded)


def routes(about: Mapping[str, Any]) -> list[BaseRoute]:
    """`/`, `/page/…`, and `/api/about`, which tells the page what there is.

    about: `recorded`: whether there are recorded runs (see `view`); `live`: None, or the `model`
        of a gateway and its `methods`, by name with the settings that each has to be given. Then
        the page asks questions at `/v1/chat/completions` and follows `/events`.
    """

    def told(request: Request) -> Response:
        return Response(json.dumps(about), media_type="application/json", headers=HEADERS)

    files = StaticFiles(packages=[("s1_eval.serve", "page")])
    return [
        Route("/", _index),
        Route("/api/about", told),
        Route("/page/colours.css", _colours),
        Mount("/page", app=Guarded(files)),
    ]


def _index(request: Request) -> Response:
    return _own("s1_eval.serve", "page/index.html", "text/html")


def _colours(request: Request) -> Response:
    """The style of all our pages."""
    return _own("s1_eval.report", "style.css", "text/css")


def _own(package: str, name: str, kind: str) -> Response:
    text = resources.files(package).joinpath(name).read_text("utf-8")
    return Response(text, media_type=kind, headers=HEADERS)
