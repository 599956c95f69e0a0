"""`s1-eval doctor`: what would be forced, token by token, before any weight is loaded."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from s1_eval.cli.options import add_model, cap
from s1_eval.engines.models import resolve_model
from s1_eval.engines.protocol import Tokenizer
from s1_eval.engines.table import parse_model
from s1_eval.methods.budget_forcing import BudgetForcing
from s1_eval.thinking import bind, encode_exactly


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "doctor", help="print the prompt and every token that would be forced; loads no weights"
    )
    add_model(parser)
    parser.add_argument("--question", default="What is 2 + 2?", help="user message to render")
    parser.add_argument("--thinking-format", default="auto")
    parser.add_argument("--max-thinking-tokens", type=cap, default=None)
    parser.add_argument("--num-ignores", type=int, default=0)
    parser.add_argument("--ignore-string", default="Wait")
    parser.add_argument("--final-answer-nudge", default="Final Answer:")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from rich.console import Console

    from s1_eval.engines.checkpoints import eos_ids, load_tokenizer, unstopped_ends

    params = BudgetForcing(
        max_thinking_tokens=args.max_thinking_tokens,
        num_ignores=args.num_ignores,
        ignore_string=args.ignore_string,
        final_answer_nudge=args.final_answer_nudge,
        thinking_format=args.thinking_format,
    )
    _, model = parse_model(args.model)
    source = resolve_model(model)
    tokenizer: Tokenizer = load_tokenizer(source)
    console = Console()
    console.print(_report(tokenizer, model, params, args.question))
    for token in unstopped_ends(tokenizer, eos_ids(source, tokenizer)):
        Console(stderr=True).print(
            f"{token} closes the assistant's turn in the chat template, but does not stop the "
            "model: add it to eos_token_id in generation_config.json",
            markup=False,
            soft_wrap=True,
        )
    return 0


def _report(tokenizer: Tokenizer, model: str, params: BudgetForcing, question: str) -> Any:
    """One row per event: what happens, the text, the ids."""
    from rich.table import Table
    from rich.text import Text

    delimiters = bind(params.thinking_format, tokenizer, model)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
    )

    def ids(text: str) -> tuple[int, ...]:
        return encode_exactly(tokenizer, text, model)

    nudge = ids("\n" + params.final_answer_nudge) if params.final_answer_nudge else ()
    events: list[tuple[str, Sequence[int]]] = [
        ("prompt", tokenizer.encode(str(prompt), add_special_tokens=False)),
        ("thinking starts", delimiters.start),
        ("model stops on (ids)", sorted(delimiters.stop_ids)),
        ("an end is ignored", ids(params.ignore_string)),
        ("natural end", delimiters.end),
        ("forced end, after a newline", delimiters.end + nudge),
        ("forced end, otherwise", delimiters.newline + delimiters.end + nudge),
    ]
    table = Table(title=f"{model}: thinking format {delimiters.format.name}", title_style="bold")
    for heading in ("event", "text", "token ids"):
        table.add_column(heading, overflow="fold")
    for event, tokens in events:
        pieces = [tokenizer.decode([t], skip_special_tokens=False) for t in tokens]
        shown = Text("·").join(Text(repr(piece)[1:-1]) for piece in pieces)
        table.add_row(event, shown or Text("(nothing)"), Text(" ".join(map(str, tokens))))
    if delimiters.stop_strings:
        table.add_row("model stops on (text)", Text(repr(delimiters.stop_strings)), Text("-"))
    return table
