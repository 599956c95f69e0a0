"""`s1-eval doctor`: how a model thinks and how that was found, and what would be forced, token by
token, before any weight is loaded; and what a server can do and which of its dials hold."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from s1_eval.cli.options import add_model, cap
from s1_eval.engines.models import resolve_model
from s1_eval.engines.protocol import Tokenizer
from s1_eval.engines.table import parse_model
from s1_eval.errors import UserError
from s1_eval.key_values import key_values
from s1_eval.methods.chain import BudgetForcing
from s1_eval.thinking import Chat, Thinking, detect, encode_exactly, in_ids
from s1_eval.typed import check_types


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "doctor", help="print how a model thinks and every token that would be forced"
    )
    add_model(parser, required=False)
    parser.add_argument(
        "--server",
        metavar="URL",
        help="ask a server instead which dialect it speaks and what it can do, and which ways to "
        "limit its thinking it enforces, ignores or rejects; takes --model s1_api/NAME, "
        "--question, -M api_key=KEY, -M timeout=SECONDS and -M dialect=NAME",
    )
    parser.add_argument("--question", help="user message to render, or to ask the server")
    parser.add_argument("--thinking-format", default="auto")
    parser.add_argument("--max-thinking-tokens", type=cap, default=None)
    parser.add_argument("--num-ignores", type=int, default=0)
    parser.add_argument("--ignore-string", default="Wait")
    parser.add_argument("--final-answer-nudge", default="Final Answer:")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from s1_eval.engines.checkpoints import eos_ids, load_tokenizer, unstopped_ends

    if args.server is not None:
        return _server(args)
    if args.model is None:
        raise UserError("give --model ENGINE/NAME, or --server URL")
    question = args.question or "What is 2 + 2?"
    params = BudgetForcing(
        max_thinking_tokens=args.max_thinking_tokens,
        num_ignores=args.num_ignores,
        ignore_string=args.ignore_string,
        final_answer_nudge=args.final_answer_nudge,
        thinking_format=args.thinking_format,
    )
    _, model = parse_model(args.model)
    chat, own = Chat.take(key_values(args.model_args, "-M"))
    named = str(own.get("tokenizer", model))
    # No more than the tokenizer is needed, and a folder may hold no more.
    has_tokenizer = (Path(named).expanduser() / "tokenizer_config.json").is_file()
    source = str(Path(named).expanduser()) if has_tokenizer else resolve_model(named)
    revision = own.get("revision")
    tokenizer: Tokenizer = load_tokenizer(
        source, revision, bool(own.get("trust_remote_code", False))
    )
    thinking = detect(params.thinking_format, tokenizer, model, chat)
    if args.json:
        print(json.dumps(thinking.to_dict(), ensure_ascii=False))  # noqa: T201
    else:
        from rich.console import Console

        Console().print(_report(tokenizer, model, chat, thinking, params, question))
    said = [] if thinking.advice is None else [f"{model} does not think: {thinking.advice}"]
    try:
        chat.encode(tokenizer, [{"role": "user", "content": question}], model)
    except UserError as error:
        said = [str(error)]
    said += [
        f"{token} closes the assistant's turn in the chat template, but does not stop the "
        "model: add it to eos_token_id in generation_config.json"
        for token in unstopped_ends(tokenizer, eos_ids(source, tokenizer, revision))
    ]
    for line in said:
        print(f"s1-eval: {line}", file=sys.stderr)  # noqa: T201
    return 0


def _server(args: argparse.Namespace) -> int:
    """Ask a server what it can do, and about its dials."""
    from s1_eval.engines.abilities import try_abilities
    from s1_eval.engines.dials import QUESTION, try_dials
    from s1_eval.engines.servers import check_dialect

    engine, model = parse_model(args.model) if args.model else ("s1_api", None)
    if engine != "s1_api":
        raise UserError(f"--model {args.model}: with --server, give s1_api/NAME")
    own = key_values(args.model_args, "-M")
    if unknown := sorted(own.keys() - {"api_key", "timeout", "dialect"}):
        raise UserError(f"-M {unknown[0]}: --server takes api_key, timeout and dialect")
    check_types(try_abilities, own)
    check_dialect(dialect := own.pop("dialect", None))
    check_types(try_dials, own)
    able, said = None, []
    try:
        able = try_abilities(args.server, model, dialect=dialect, **own)
    except UserError as error:
        if dialect:
            raise
        said.append(f"s1_api can't use it: {error}")
    try:
        model, found = try_dials(args.server, model, question=args.question or QUESTION, **own)
    except UserError as error:
        if able is None:
            raise
        model, found = able.model, []
        said.append(f"no chat server, so without dials: {error}")
    for line in said:
        print(f"s1-eval: {line}", file=sys.stderr)  # noqa: T201
    if args.json:
        told: dict[str, Any] = {"server": args.server, "model": model}
        if able:
            told["dialect"] = asdict(able)
        print(json.dumps(told | {"dials": [asdict(dial) for dial in found]}))  # noqa: T201
        return 0
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if able:
        known = Table(title=Text(f"{able.program} at {args.server}", style="bold"))
        for heading in ("ability", "found"):
            known.add_column(heading, overflow="fold")
        for ability, cell in asdict(able).items():
            shown = "not told" if cell is None else str(cell)
            known.add_row(ability.replace("_", " "), Text(shown))
        Console().print(known)
    if not found:
        return 0
    table = Table(title=Text(f"{model} at {args.server}", style="bold"))
    for heading in ("dial", "verdict", "thinking tokens", "said"):
        table.add_column(heading, overflow="fold")
    for dial in found:
        cells = (dial.name, dial.verdict, dial.thinking_tokens, dial.said)
        table.add_row(*(Text("-" if cell is None else str(cell)) for cell in cells))
    Console().print(table)
    return 0


def _report(
    tokenizer: Tokenizer,
    model: str,
    chat: Chat,
    thinking: Thinking,
    params: BudgetForcing,
    question: str,
) -> Any:
    """One row per event: what happens, the text, the ids."""
    from rich.table import Table
    from rich.text import Text

    prompt: Sequence[int] = ()
    if thinking.prompt_tail:
        prompt = chat.encode(tokenizer, [{"role": "user", "content": question}], model)
    delimiters = in_ids(thinking.format, tokenizer, model)
    tail = tokenizer.decode(list(prompt[-64:]), skip_special_tokens=False)
    needed = thinking.delimiters(delimiters, tail)

    def ids(text: str) -> tuple[int, ...]:
        return encode_exactly(tokenizer, text, model)

    nudge = params.final_answer_nudge
    newline = "" if delimiters.format.end.endswith("\n") else "\n"
    nudged = ids(newline + nudge) if nudge else ()
    events: list[tuple[str, Sequence[int]]] = [("prompt", prompt)]
    if needed.end:
        events += [
            ("thinking starts", needed.start),
            ("model stops on (ids)", sorted(needed.stop_ids)),
            ("an end is ignored", ids(params.ignore_string)),
            ("natural end", needed.end),
            ("forced end, after a newline", needed.end + nudged),
            ("forced end, otherwise", needed.newline + needed.end + nudged),
        ]
    if needed.close_ids:
        events.append(("answer stops on (ids)", sorted(needed.close_ids)))
    title = (
        f"{model}: thinking format {thinking.format.name} (source: {thinking.source}), "
        f"thinking {thinking.state}"
    )
    table = Table(title=title, title_style="bold")
    for heading in ("event", "text", "token ids"):
        table.add_column(heading, overflow="fold")
    for event, tokens in events:
        pieces = [tokenizer.decode([t], skip_special_tokens=False) for t in tokens]
        shown = Text("·").join(Text(repr(piece)[1:-1]) for piece in pieces)
        table.add_row(event, shown or Text("(nothing)"), Text(" ".join(map(str, tokens))))
    for event, strings in (
        ("model stops on (text)", needed.stop_strings),
        ("answer stops on (text)", needed.close_strings),
    ):
        if strings:
            table.add_row(event, Text(repr(strings)), Text("-"))
    found = thinking.to_dict()
    for event, shown in (
        ("switches (template arguments)", found["arguments"]),
        ("dials (template arguments)", found["dials"]),
    ):
        if shown:
            table.add_row(event, Text(json.dumps(shown)), Text("-"))
    return table
