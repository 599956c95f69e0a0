"""`s1-eval view`: recorded runs in a browser, with every chain of thought. No model is loaded."""

from __future__ import annotations

import argparse
import errno
import socket
import sys
from typing import Any

from s1_eval.cli.inputs import Inputs, add_paths
from s1_eval.errors import UserError

PORT = 8421


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "view", help="a page of recorded runs: questions, chains, votes, trees, side by side"
    )
    add_paths(parser)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="where to listen; beyond this machine, texts of benchmarks that must not be "
        "published, or that nobody knows to be open, are withheld",
    )
    parser.add_argument(
        "--port", type=int, default=PORT, help=f"default: {PORT}; 0 takes one that is free"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import uvicorn

    from s1_eval.serve.records import Records
    from s1_eval.serve.view import app

    args.skip_bad = True  # shown is what can be read, and the rest is named
    inputs = Inputs(args, counted=False, ungraded=True)
    records = Records(inputs.tell, counted=args.tokenizer is not None)
    for path, method in inputs.chosen(args.paths):
        records.read(path, inputs.readers, method)
    if not records.runs:
        raise UserError("there is nothing to show: all of it was skipped, see there")
    inputs.say()
    listening = _listen(args.host, args.port)
    port = listening.getsockname()[1]
    shown = f"[{args.host}]" if ":" in args.host else args.host
    rows = sum(len(run.entries) for run in records.runs.values())
    print(  # noqa: T201
        f"{len(records.runs)} runs, {rows} rows: http://{shown}:{port}/  (Ctrl-C ends it)",
        flush=True,
    )
    server = uvicorn.Server(uvicorn.Config(app(records, args.host), log_level="warning"))
    try:
        server.run([listening])
    except KeyboardInterrupt:  # the usual end
        print(file=sys.stderr)  # noqa: T201
    finally:
        records.close()
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """Raises UserError where that can't be done."""
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen()  # so that nobody is refused who comes as soon as the address is said
        except BaseException:
            made.close()
            raise
    except (OSError, OverflowError) as error:
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        instead = "--port 0 takes one that is free" if taken else "give another --host or --port"
        raise UserError(f"can't listen at {host} port {port} ({error}): {instead}") from error
    return made
