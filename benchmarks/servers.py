"""A real server for the benchmarks that ask one, on this machine, in a process group of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from s1_eval.engines.models import resolve_model

PATIENCE = 300
"""Seconds until a server has to be up."""


class Server:
    """A server that is starting. root: its address."""

    def __init__(self, *command: str, log: Path | None = None, **environment: str) -> None:
        """command: takes `--host` and `--port` as well. log: where what it says stays; without one
        it goes with the server."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.root = f"http://127.0.0.1:{port}"
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # it must not outlive this
        self._said = log.open("w+b") if log else tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, **environment},
            stdout=self._said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait(self) -> None:
        """Until it is up. Ends the program where it does not come."""
        until = time.monotonic() + PATIENCE
        while True:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.root}/health", timeout=5).is_success:
                    return
            if self._process.poll() is not None or time.monotonic() > until:
                self._said.seek(0)
                said = self._said.read()[-3000:].decode(errors="replace")
                raise SystemExit(f"the server did not start:\n{said}")
            time.sleep(0.5)

    def end(self, by: signal.Signals = signal.SIGTERM) -> None:
        """End it and what it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, by)
        self._process.wait()


def vllm(
    model: str, *options: str, name: str | None = None, log: Path | None = None, **environment: str
) -> Server:
    """vLLM's own server of a model in float32, as `vllm serve` starts it: that name can't be used
    on vLLM's build for CPUs. name: what it is called there; else as it was given."""
    return Server(
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", resolve_model(model), "--served-model-name", name or model),
        *("--dtype", "float32", "--enforce-eager", "--max-model-len", "2048", *options),
        log=log,
        **environment,
    )


@contextmanager
def up(server: Server) -> Iterator[str]:
    """The address of a server that is up, ended with the block."""
    try:
        server.wait()
        yield server.root
    finally:
        server.end()
