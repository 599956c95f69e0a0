"""`s1-train sft --dry-run`: what a recipe would do, before anything is downloaded or trained. What
only a tokenizer or a data set that is not here could tell is named as such.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_eval.errors import UserError
from s1_eval.thinking.render import printable
from s1_eval.training import plan
from s1_eval.training.batches import count_steps, parts, plan_batches
from s1_eval.training.examples import IGNORED, Row, learned_text
from s1_eval.training.reasoning import Reasoning
from s1_eval.training.recipe import Recipe
from s1_eval.training.sft import is_main, load_tokenizer, processes, refuse_missing, rows_of

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

GPUS = (1, 8, 16)
"""Shardings that memory is planned for, besides the one that is asked for."""
SHOWN = 600
"""Characters shown of a stretch of text; the middle of a longer one is left out."""


def show(recipe: Recipe, output: Path) -> None:
    """Print the plan. Raises UserError on what would stop the training for certain."""
    from rich.console import Console

    count = parts(recipe.training, processes())
    unknown: list[str] = []
    tokenizer = _here(lambda: load_tokenizer(recipe.model), unknown)
    rows, cut = _rows(recipe, tokenizer, unknown)
    if not is_main():
        return
    console = Console()
    console.print(_facts(recipe, rows, cut, count))
    config = _here(lambda: plan.config_of(recipe.model, len(tokenizer or ())), unknown)
    if config is not None:
        console.print(*_memory(recipe, config, rows, output), sep="\n")
    if rows:
        console.print(_example(rows[0], tokenizer))
    try:
        refuse_missing(recipe)
    except UserError as error:
        unknown.append(str(error))
    for reason in unknown:
        console.print(f"Not here: {reason}", markup=False, style="yellow")


def _here(get: Callable[[], Any], unknown: list[str]) -> Any:
    """What `get` gives, or None where it is not here; the reason goes to `unknown`."""
    try:
        return get()
    except UserError as error:
        unknown.append(" ".join(str(error).split())[:300])
        return None


def _rows(recipe: Recipe, tokenizer: Any, unknown: list[str]) -> tuple[list[Row], int]:
    """The rows that would be trained on, and how many were cut; none where they or the tokenizer
    are not here."""
    source = recipe.source
    if isinstance(source, Reasoning):
        found = _here(lambda: source.load(download=False), unknown)
        if found is not None:
            source.checked(found)
        if found is None or tokenizer is None:
            unknown.append("tokens, the longest example and one example's mask")
            return [], 0
        return rows_of(
            source.render(found, tokenizer, recipe.model.name), recipe.training, tokenizer
        )
    if tokenizer is None:
        return [], 0
    return rows_of(recipe.examples(tokenizer), recipe.training, tokenizer)


def _facts(recipe: Recipe, rows: Sequence[Row], cut: int, count: int) -> Table:
    from rich.table import Table

    training, source = recipe.training, recipe.source
    lengths = [len(row["input_ids"]) for row in rows]
    expected = source.expected if isinstance(source, Reasoning) else None
    examples = len(rows) or expected
    if rows:
        steps: int | None = len(plan_batches(training, lengths))
    else:
        steps = count_steps(training, examples) if examples else None
    table = Table("", "", show_header=False, title=f"Fine-tuning {recipe.model.name}")

    def row(name: str, value: str) -> None:
        table.add_row(name, value)

    row("examples", f"{examples:,}{'' if rows else ' (by the recipe)'}" if examples else "unknown")
    if rows:
        learned = sum(label != IGNORED for r in rows for label in r["labels"])
        row("tokens", f"{sum(lengths):,} an epoch, the longest example {max(lengths):,}")
        row("with loss", f"{learned:,} ({100 * learned / sum(lengths):.0f}%)")
    row("cut at the block", f"{cut} of {len(rows)}" if rows else "unknown")
    row(
        "block",
        f"{training.max_length:,} tokens, longer examples are "
        + ("cut" if training.truncate else "refused"),
    )
    row("epochs", str(training.epochs))
    row("steps", f"{steps:,}" if steps else "unknown")
    if steps:
        row(
            "warm-up",
            f"{training.warmup(steps)} steps to {training.learning_rate:g}, then "
            f"{training.schedule}",
        )
    if training.batch_size is None:
        row("effective batch", f"{training.tokens_per_batch:,} tokens")
    else:
        row(
            "effective batch",
            f"{training.batch_size} examples = {processes()} processes x "
            f"{count // processes()} accumulated x {training.micro_batch_size}",
        )
    row("no loss on", "system prompt, question, generation prompt, padding")
    row(
        "loss on",
        "all that follows: thinking, answer, their delimiters, end of turn"
        if isinstance(source, Reasoning)
        else "what the source says",
    )
    return table


def _memory(recipe: Recipe, config: Any, rows: Sequence[Row], output: Path) -> tuple[Table, str]:
    """Memory per GPU by sharding, and what checkpoints take."""
    from rich.table import Table

    training = recipe.training
    found = plan.sizes(config, recipe.model.lora)
    longest = max((len(row["input_ids"]) for row in rows), default=training.max_length)
    tokens = longest * training.micro_batch_size
    if training.batch_size is None:
        tokens = max(longest, (training.tokens_per_batch or 0) // processes())
    table = Table(
        *("GPUs", "state", "activations", "working", "GB per GPU"),
        title=f"For {tokens:,} tokens at a time",
    )
    shardings = (processes(),) if recipe.model.lora else sorted({*GPUS, processes()})
    for gpus in shardings:
        need = plan.memory(config, training, found, tokens, gpus)
        figures = (need.state, need.saved, need.working, need.total)
        table.add_row(str(gpus), *(f"{figure / 1e9:.1f}" for figure in figures))
    resumable, final = plan.checkpoint_bytes(found, training)
    free = shutil.disk_usage(next(p for p in output.absolute().parents if p.exists())).free
    saved = (
        f"{resumable / 1e9:.1f} GB each {training.save_steps} steps, two while one is written"
        if training.save_steps
        else "none to resume from"
    )
    text = (
        f"{found.total:,} parameters. Checkpoints: {saved}; final weights {final / 1e9:.1f} GB "
        f"({training.save_dtype}); {free / 1e9:.1f} GB are free for {output}"
    )
    return table, text


def _example(row: Row, tokenizer: Any) -> Group:
    """The first example, green where it carries loss; brackets say the same without colour."""
    from rich.console import Group
    from rich.text import Text

    text = Text()
    for part, learned in learned_text(row, tokenizer):
        shown = printable(part)
        if len(shown) > SHOWN:
            shown = f"{shown[: SHOWN // 2]} […] {shown[-SHOWN // 2 :]}"
        text.append(f"⟦{shown}⟧" if learned else shown, style="green" if learned else "dim")
    return Group(Text("One example; ⟦loss⟧ in green:", style="bold"), text)
