"""`s1-eval serve`: an OpenAI-compatible server that answers by any method."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from s1_eval.cli.options import add_model, add_packed, add_pairs, add_verifier, at_least_one
from s1_eval.errors import UserError
from s1_eval.key_values import key_values
from s1_eval.libraries import needs
from s1_eval.methods import METHODS
from s1_eval.names import choose_from

KEY = "S1_EVAL_API_KEY"
"""The variable that holds the server's key."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "serve", help="an OpenAI-compatible server that answers by any method"
    )
    add_model(parser)
    parser.add_argument("--name", help="what clients call the model; default: its name here")
    parser.add_argument(
        "--method",
        default="plain",
        help=f"of requests that name none: {', '.join(METHODS)}; default: plain",
    )
    add_pairs(
        parser, "-S", "params", "setting of every method that has it, unless a request gives it"
    )
    add_verifier(parser)
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="of requests that name none; default: 1"
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: this machine alone")
    parser.add_argument("--port", type=int, default=8000, help="0: any that is free")
    parser.add_argument(
        "--api-key", help=f"that clients have to send; better in the environment as {KEY}"
    )
    parser.add_argument("--out", type=Path, help="folder for the record of every answer")
    add_packed(parser)
    parser.add_argument(
        "--cache", type=Path, help="folder that keeps what was decoded for the same request"
    )
    for option, default, said in (
        ("--max-running", 256, "questions that are solved at once"),
        ("--max-waiting", 1024, "that wait for it; further ones get 429"),
        ("--max-seconds", 3600, "that a request may take"),
        ("--max-body", 4 << 20, "bytes of a request"),
        ("--max-width", 1024, "of samples, rounds, tries, ignores, …"),
        ("--grace", 30, "seconds for what is under way when the server is ended"),
    ):
        parser.add_argument(
            option, type=at_least_one, default=default, metavar="N", help=f"{said}; {default}"
        )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    with needs("serve"):
        from s1_eval.serve import server
        from s1_eval.serve.app import application
        from s1_eval.serve.gateway import Gateway, Limits
        from s1_eval.serve.view import is_loopback
    from s1_eval.engines.cache import CachedEngine
    from s1_eval.engines.protocol import Sampling
    from s1_eval.engines.table import open_engine, parse_model
    from s1_eval.evaluation.binding import FirstQuestion, check_first
    from s1_eval.methods import method, settings
    from s1_eval.typed import flat_fields
    from s1_eval.verifiers.table import check_verifier, open_verifier

    engine_name, model = parse_model(args.model)
    engine_args = key_values(args.model_args, "-M")
    params = key_values(args.params, "-S")
    known = {name for each in METHODS.values() for name in flat_fields(each.settings)}
    if unknown := [name for name in params if name not in known]:
        raise UserError(
            f"no method has a setting {unknown[0]!r}: {choose_from(unknown[0], sorted(known))}"
        )
    default = method(args.method)
    own = {name: value for name, value in params.items() if name in flat_fields(default.settings)}
    chosen = settings(default, own)
    sampling = Sampling(args.temperature)
    if default.verifier and args.verifier is None:
        raise UserError(f"{default.name} needs a verifier: give --verifier, e.g. nano-prm")
    if args.packed and args.out is None:
        raise UserError("--packed is how records are written: give --out FOLDER as well")
    key = args.api_key or os.environ.get(KEY)
    bound = server.bind(args.host, args.port)
    with ExitStack() as stack:
        stack.callback(bound.close)
        check_first(
            engine_name, model, engine_args, [FirstQuestion(default, chosen, sampling, "?")]
        )
        check_verifier(args.verifier)
        engine = open_engine(engine_name, model, **engine_args)
        stack.callback(engine.close)
        verifier = None
        if args.verifier is not None:
            verifier = open_verifier(args.verifier, **key_values(args.verifier_args, "-V"))
            stack.callback(verifier.close)
        if args.cache is not None:
            engine = CachedEngine(engine, args.cache)
            stack.callback(engine.forget)
        gateway = Gateway(
            engine,
            args.name or model,
            default=default,
            params=params,
            verifier=verifier,
            temperature=args.temperature,
            limits=Limits(
                args.max_running, args.max_waiting, args.max_seconds, args.max_body, args.max_width
            ),
            out=args.out,
            packed=args.packed,
            command=["s1-eval", *_without_key(sys.argv[1:])],
        )
        stack.callback(gateway.close)
        loopback = is_loopback(bound.getsockname()[0])
        where = server.address(bound)
        said = f"s1-eval: {gateway.name} by {default.name} at {where}/v1; Ctrl-C ends it"
        if not (loopback or key):
            said += f". Whoever reaches this address may use it: set {KEY} to ask for a key"
        print(said, file=sys.stderr, flush=True)  # noqa: T201
        app = application(gateway, api_key=key, only_loopback=loopback)
        server.serve(app, gateway, bound, args.grace)
    return 0


def _without_key(words: Sequence[str]) -> Iterator[str]:
    """The command line as records may show it."""
    hide = False
    for word in words:
        if hide:
            yield "…"
        elif word.startswith("--api-key="):
            yield "--api-key=…"
        else:
            yield word
        hide = word == "--api-key"
