"""Replies of model servers, each read whole within a time and a size. What a server sends is
hostile input. What a reply means is the business of who asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s1_eval.errors import UserError
from s1_eval.thinking.render import printable

if TYPE_CHECKING:
    import httpx


class NoReply(Exception):
    """No whole reply came; says why. connected: whether a server was there."""

    def __init__(self, said: str, connected: bool = True) -> None:
        super().__init__(said)
        self.connected = connected


@dataclass(frozen=True, slots=True)
class Reply:
    """headers: by lower-case or any other name."""

    status: int
    headers: Mapping[str, str]
    text: str

    def json(self) -> Any:
        """Raises ValueError where it is none."""
        try:
            return json.loads(self.text)
        except RecursionError as error:
            raise ValueError("JSON that is nested too deep") from error


def open_client(api_key: str | None, **options: Any) -> httpx.AsyncClient:
    """A client for `fetch`. options: httpx's own. Raises UserError on a key that can't be sent."""
    import httpx

    # A packed reply of a few bytes can be as large as the memory; none has to be.
    headers = {"Accept-Encoding": "identity"}
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    try:
        return httpx.AsyncClient(
            headers=headers, timeout=httpx.Timeout(None, connect=10.0), **options
        )
    except UnicodeError as error:
        raise UserError("api_key holds characters that no key has: check it") from error


async def fetch(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    body: Any = None,
    *,
    timeout: float,
    largest: int,
    on_line: Callable[[str], None] | None = None,
) -> Reply:
    """The reply to one request, whatever its status.

    body: is sent as JSON. timeout: seconds until its last byte. largest: bytes that it may have.
    on_line: gets each line of it as soon as it is there.
    Raises NoReply.
    """
    import httpx

    data, rest = bytearray(), b""
    try:
        # httpx's own limit starts anew with every byte that comes.
        async with (
            asyncio.timeout(timeout),
            client.stream(method, url, json=body) as response,
        ):
            packing = response.headers.get("content-encoding", "identity")
            if packing.lower() != "identity":
                raise NoReply(f"it packed its reply, which nobody asked for: {excerpt(packing)}")
            async for chunk in response.aiter_raw():
                data += chunk
                if len(data) > largest:
                    raise NoReply(f"more than {largest} bytes came")
                if on_line:
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        on_line(line.decode(errors="replace"))
    except TimeoutError as error:
        raise NoReply(f"no answer within {timeout:g} s: raise -M timeout=SECONDS") from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        said = excerpt(str(error) or type(error).__name__)
        unconnected = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
        raise NoReply(said, not unconnected) from error
    return Reply(response.status_code, response.headers, data.decode(errors="replace"))


def excerpt(text: str) -> str:
    """The beginning of a stranger's text, on one line of printable characters."""
    return printable(" ".join(text[:1000].split()))[:200]
