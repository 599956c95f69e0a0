"""The public API: what `import s1_eval` offers besides its rooms. It asks, records and scores by
the same code as the command line, so the same numbers come out.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import inspect
import io
import sys
import tempfile
import typing
import warnings
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Union

from s1_eval import metrics
from s1_eval.engines.protocol import Engine
from s1_eval.engines.table import parse_model
from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import Benchmark, Sample
from s1_eval.evaluation.failures import FailOnError, check_fail_on_error
from s1_eval.evaluation.loops import wait_for
from s1_eval.evaluation.named import find_task
from s1_eval.evaluation.plan import plan_settings
from s1_eval.evaluation.progress import shown
from s1_eval.evaluation.questions import own_questions
from s1_eval.evaluation.reading import readers
from s1_eval.evaluation.sweep import Sweep, SweepStopped
from s1_eval.methods import METHODS, Dial, Method
from s1_eval.metrics import Advice, Entry, comparison
from s1_eval.metrics.prices import Prices, read_prices
from s1_eval.records import Run
from s1_eval.records import read_rows as rows_of
from s1_eval.records import read_runs as read
from s1_eval.thinking import Outcome
from s1_eval.typed import flat_hints, takes_numbers
from s1_eval.verifiers.table import VerifierSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

P = ParamSpec("P")
T = TypeVar("T")

Solving = Callable[..., Coroutine[Any, Any, Outcome]]
"""An async function of (policy, question, settings)."""


Runs = Union["Result", Run, str, Path, Sequence[Union["Result", Run, str, Path]]]


@dataclass(frozen=True)
class Result:
    """Runs, and what can be said of them. `runs` holds them, a `Run` each: `record` is its
    `run.json`, `rows` its samples without texts, `params` its method's settings.

    >>> result = s1_eval.evaluate("s1_hf/nano", "nano", "plain", limit=3)
    >>> len(result.runs), len(result.runs[0].rows)
    (1, 3)
    """

    runs: Sequence[Run]
    _kept: Any = field(default=None, repr=False)  # a temporary folder, which goes with the result

    def score(self, **options: Any) -> list[Entry]:
        """Control, Scaling and Performance of every series of runs, as `s1-eval score` prints
        them with `--json`. Options: see `score`.

        >>> result = s1_eval.evaluate("s1_hf/nano", "nano", "plain", limit=3)
        >>> [entry["method"] for entry in result.score()]
        ['plain']
        """
        return score(self.runs, **options) if options else self._entries

    @functools.cached_property
    def _entries(self) -> list[Entry]:
        return score(self.runs)

    def table(self, width: int = 140) -> str:
        """The table and the budget audit that `s1-eval score` prints, as text.

        width: in columns.
        """
        from rich.console import Console

        from s1_eval.report import audit, render

        entries = self._entries
        console = Console(file=io.StringIO(), width=width)
        render(entries, console)
        console.print()
        audit.render(entries, console)
        return typing.cast(io.StringIO, console.file).getvalue()

    def plot(self, x: str = "thinking_tokens", prices: str | Path | None = None) -> Figure:
        """Accuracy over `thinking_tokens`, `generated_tokens`, or another cost that the records
        hold, `flops`, `seconds` or, with `prices`, `usd`: a matplotlib figure, which a notebook
        shows and `figure.savefig("scaling.png")` writes. prices: see `score`."""
        from s1_eval.report import curves, plots

        drawn = {
            "thinking_tokens": plots.accuracy_vs_thinking_tokens,
            "generated_tokens": plots.accuracy_vs_generated_tokens,
        }
        if x in drawn:
            return drawn[x](self._entries)
        if x not in curves.COSTS:
            raise UserError(f"x={x!r}: give {' or '.join((*drawn, *curves.COSTS))}")
        entries = score(self.runs, prices=prices) if x == "usd" else self._entries
        found = [point["costs"].get(x) for entry in entries for point in entry["points"]]
        if all(cost is None or cost["value"] is None for cost in found):
            why = next((cost["note"] for cost in found if cost), "give prices=FILE")
            raise UserError(f"no run knows its {x}: {why}")
        return plots.accuracy_over(x, entries)

    def advise(self, **options: Any) -> list[Advice]:
        """How much thinking a question deserves, as `s1-eval advise` prints it with `--json`.
        Options: see `advise`."""
        return advise(self, **options)

    def samples(self, traces: bool = False) -> DataFrame:
        """Every sample record as a row of a pandas frame, its response included.

        traces: the chains of tokens too, which are most of the data.

        >>> frame = s1_eval.evaluate("s1_hf/nano", "nano", "plain", limit=3).samples()
        >>> frame.method.tolist()
        ['plain', 'plain', 'plain']
        """
        try:
            from pandas import DataFrame
        except ImportError as error:
            raise UserError("samples() makes a pandas frame: pip install pandas") from error
        left_out = frozenset() if traces else frozenset({"traces"})
        known = readers(_remark)
        return DataFrame(
            [
                {name: value for name, value in located.row.items() if name not in left_out}
                for located in rows_of(self.runs, known)
            ]
        )


async def evaluate_async(
    model: str | Engine,
    task: str | Benchmark | Iterable[Mapping[str, Any] | Sample],
    method: str | Method | Solving | Sequence[str | Method | Solving],
    *,
    engine: Engine | Mapping[str, Any] | None = None,
    grader: str | Mapping[str, Any] | None = None,
    columns: Mapping[str, str] | None = None,
    split: str | None = None,
    task_args: Mapping[str, Any] | None = None,
    data: str | None = None,
    since: str | None = None,
    shuffle: int | None = None,
    limit: int | None = None,
    epochs: int = 1,
    temperature: float | None = None,
    top_p: float = 1.0,
    top_k: int = 0,
    seed: int | None = 0,
    logprobs: int | None = None,
    verifier: VerifierSpec | None = None,
    grid: bool = False,
    cache: bool = True,
    in_flight: int | None = None,
    fail_on_error: FailOnError = False,
    out: str | Path | None = None,
    packed: bool = False,
    progress: bool | None = None,
    **settings: Any,
) -> Result:
    """Run methods on a task and record every sample. `await evaluate_async(…)` is the same on a
    running event loop; `evaluate` works there too, as in a notebook, and blocks.

    model: `ENGINE/NAME`, e.g. `s1_hf/nano`, `s1_vllm/Qwen/Qwen3-8B`, or an engine that is open.
    task: a benchmark's name, e.g. `aime24`; a `Benchmark`; somebody else's task in Inspect or
        lm-eval, e.g. `inspect_evals/gsm8k`, `file.py@name`, `lm_eval/gsm8k`, with its own prompts
        and scorer; or one's own questions: a file, e.g. `my.csv`, a data set of the hub, e.g.
        `openai/gsm8k:main`, or mappings with `question` and `answer`, and where there are any
        `options`, `id` and `system`.
    method: a name, e.g. `budget_forcing`; a method of one's own, which is an async function of
        (policy, question, settings) whose third argument is annotated with a dataclass; a
        `Method`; or a list of these.
    settings: the methods' own, as `max_thinking_tokens=64`. A list is what varies: a run for each
        member, as in `s1-eval sweep`. A tuple is one value. Numbers may be a `range` or a text as
        the sweep takes it, `"2^5..2^12"` or `"256..4096:256"`.
    engine: settings of the engine, e.g. `{"dtype": "bfloat16"}`, or an engine that is open, in
        place of one opened for `model`.
    grader: of one's own questions: `math`, `integer` or `choice`, or a mapping with it as `name`
        beside its settings; of somebody else's task also which of its scorers counts.
        columns: which ones hold the question and so on, where they are not called as usual, e.g.
        `{"question": "Problem"}`. split: of a data set that has several.
    task_args: a benchmark's own arguments, e.g. `{"month": "0926"}`.
    data: a file or folder to read a benchmark from. since: a date; only newer questions.
        shuffle: the seed of another order of the questions. limit: only the first so many.
        epochs: how often each is asked.
    temperature: 0 by default, and 1 for the methods that need different samples.
    logprobs: record in the traces the log-probability of every sampled id, and those of so many of
        the likeliest in its place, up to 20.
    verifier: a process reward model, e.g. `nano-prm`, for the methods that search by one.
    grid: every cap with every number of ignores, instead of a series of each.
    cache: what one run has decoded serves the others.
    in_flight: questions asked at once; 1 is one stream, as times of a single user are taken.
    fail_on_error: True raises at the first question that the engine can't answer; a number at so
        many, below 1 at that share of all. By default the others go on, a warning names those
        that failed, and `Run.failed` has them.
    out: a folder for what `s1-eval sweep` leaves there; called again, it goes on where it stopped.
        Without it the records go with the result. packed: its rows are `samples.jsonl.zst`.
    progress: a bar on stderr; by default where that is a terminal.

    Raises UserError on whatever is wrong, before a model is loaded where it can be told.

    >>> result = s1_eval.evaluate(
    ...     "s1_hf/nano", "nano", "budget_forcing", max_thinking_tokens=[16, 64], limit=4
    ... )
    >>> [run.params["max_thinking_tokens"] for run in result.runs]
    [64, 16]

    >>> sums = [{"question": "Compute mod 100.\\nS=25\\nA-6\\nB-6", "answer": "13"}]
    >>> result = s1_eval.evaluate("s1_hf/nano", sums, "plain", grader="integer")
    >>> [row["answer"] for row in result.runs[0].rows]
    ['13']
    """
    asked = dict(locals())
    opened, engine_args = _engine(model, engine)
    told = {"columns": columns, "split": split}
    told = {**(task_args or {}), **{n: value for n, value in told.items() if value is not None}}
    given = await asyncio.to_thread(_task, task, grader, told)
    if data is not None and not isinstance(task, str):
        raise UserError("data= says where a named benchmark is read from: leave it out")
    with ExitStack() as stack:
        kept = None
        if out is None:
            kept = tempfile.TemporaryDirectory(prefix="s1_eval_")
            out = kept.name
        sweep = Sweep(
            model=opened,
            benchmark=given,
            planned=plan_settings([_method(each) for each in _listed(method)], settings, grid),
            out=Path(out),
            command=[_told(asked)],
            engine_args=engine_args,
            data=data,
            since=since,
            shuffle=shuffle,
            limit=limit,
            epochs=epochs,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            seed=seed,
            logprobs=logprobs,
            verifier=verifier,
            cache=cache,
            in_flight=in_flight,
            fail_on_error=check_fail_on_error(fail_on_error),
            packed=packed,
        )
        await asyncio.to_thread(sweep.check)
        # Loading and closing block for long, and the loop may be somebody's.
        held = await asyncio.to_thread(stack.enter_context, sweep.opened())
        quiet = not sys.stderr.isatty() if progress is None else not progress
        try:
            with shown(quiet) as bar:
                recorded = await sweep.record(*held, bar)
        except SweepStopped as error:
            if kept is not None and error.__cause__ is not None:  # nothing stays that goes on
                raise error.__cause__ from None
            raise
        finally:
            await asyncio.to_thread(stack.close)
    if recorded.failed:
        if not recorded.readable:
            raise SweepStopped(recorded.told())
        _remark(recorded.told())
    runs = await asyncio.to_thread(read, recorded.readable)
    if kept is None:
        from s1_eval.report import write

        await asyncio.to_thread(write, runs, sweep.out)
    return Result(runs, kept)


def _blocking(made: Callable[P, Coroutine[Any, Any, T]], name: str) -> Callable[P, T]:
    @functools.wraps(made)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return wait_for(made(*args, **kwargs))

    call.__name__ = call.__qualname__ = name
    return call


evaluate = _blocking(evaluate_async, "evaluate")


def read_runs(
    *paths: str | Path | Sequence[str | Path],
    tokenizer: str | None = None,
    regrade: str | None = None,
    columns: Sequence[str] = (),
    where: Sequence[str] = (),
    delimiters: str | None = None,
    skip_bad: bool = False,
) -> list[Run]:
    """The runs in folders and files: our records, Inspect logs, lm-eval sample files, tables. What
    a folder holds that can't be used is left out with a warning.

    The options say what other people's logs leave out; they are those of `s1-eval score`, e.g.
    `columns=["thinking_tokens=usage.reasoning"]`.
    Raises UserError where a path holds nothing to read.
    """
    known = readers(
        _remark,
        tokenizer=tokenizer,
        regrade=regrade,
        columns=columns,
        where=where,
        delimiters=delimiters,
        skip_bad=skip_bad,
    )
    given = [[each] if isinstance(each, str | Path) else each for each in paths]
    return read([path for each in given for path in each], known, _remark)


def score(
    runs: Runs,
    *,
    seed: int = 0,
    resamples: int = 10_000,
    common_questions: bool = False,
    prices: str | Path | None = None,
    by: str | None = None,
) -> list[Entry]:
    """Control, Scaling and Performance, with intervals, of every series of runs, as
    `s1-eval score` prints them with `--json`.

    runs: of `read_runs`, or whatever holds some: a `Result`, a path, a list of these.
    seed, resamples: of the bootstrap. common_questions: compare runs of different question sets
        on the questions they share.
    prices: a YAML file with what models and verifiers cost, for `usd` among a run's costs.
    by: a column of the questions' metadata, e.g. `level`: entries for each of its values follow
        those for all questions.

    >>> result = s1_eval.evaluate(
    ...     "s1_hf/nano", "nano", "budget_forcing", max_thinking_tokens=[16, 64], limit=4
    ... )
    >>> [entry] = s1_eval.score(result.runs)
    >>> entry["varied"], entry["runs"], entry["control"]["value"]
    ('max_thinking_tokens', 2, 100.0)
    """
    given = _prices(prices)
    return metrics.score(_runs(runs), seed, resamples, common_questions, prices=given, by=by)


def compare(
    a: Runs,
    b: Runs,
    *,
    at: comparison.Amount = "budget",
    points: float = 5.0,
    alpha: float = 0.05,
    allow: Sequence[str] = (),
    prices: str | Path | None = None,
) -> list[dict[str, Any]]:
    """The paired differences of two methods, or two models, at equal compute, as
    `s1-eval compare` prints them with `--json`.

    a, b: the runs of one method of one model each, see `score`.
    at: what has to be equal: `budget`, or the mean of `thinking_tokens`, `generated_tokens`,
        `flops`, `seconds` or `usd`.
    points: the difference to plan questions for. alpha: the chance of any false finding.
    allow: `questions`, `data`, `checker`, `load`: compare although these differ.
    prices: a YAML file with what models and verifiers cost, for `usd`.

    >>> ask = dict(model="s1_hf/nano", task="nano", method="budget_forcing", limit=4)
    >>> short = s1_eval.evaluate(**ask, max_thinking_tokens=16)
    >>> long = s1_eval.evaluate(**ask, max_thinking_tokens=64)
    >>> [found] = s1_eval.compare(long, short)
    >>> found["difference"] == found["first_accuracy"] - found["second_accuracy"]
    True
    """
    found = comparison.compare(_runs(a), _runs(b), at, points, alpha, allow, _prices(prices))
    return [dataclasses.asdict(each) for each in found]


def advise(
    runs: Runs,
    *,
    at: str = "generated_tokens",
    points: float = 2.0,
    seed: int = 0,
    prices: str | Path | None = None,
) -> list[Advice]:
    """How much thinking a question deserves: for every series of runs that differ in their budget
    what each question needed, what uniform budgets, rules and an oracle come to, and what to do.
    As `s1-eval advise` prints it with `--json`.

    runs: see `score`. at: what to save: `generated_tokens`, `thinking_tokens`, `flops`, `seconds`
        or `usd`. points: the loss of accuracy that is small. seed: of the folds.
    prices: a YAML file with what models and verifiers cost, for `usd`.

    >>> result = s1_eval.evaluate(
    ...     "s1_hf/nano", "nano", "budget_forcing", max_thinking_tokens="2^4..2^6", limit=12
    ... )
    >>> [advice] = s1_eval.advise(result)
    >>> advice["budgets"], advice["shared"]
    ([16, 32, 64], True)
    """
    held = _runs(runs)
    rows = rows_of(held, readers(_remark))
    return metrics.advise(held, rows, at, points, seed, prices=_prices(prices))


def _prices(path: str | Path | None) -> Prices | None:
    return None if path is None else read_prices(path)


def _runs(given: Any) -> list[Run]:
    if isinstance(given, Result):
        return list(given.runs)
    if isinstance(given, Run):
        return [given]
    if isinstance(given, str | Path):
        return read_runs(given)
    return [run for each in given for run in _runs(each)]


def _remark(said: str) -> None:
    warnings.warn(said, stacklevel=2)


def _engine(
    model: str | Engine, engine: Engine | Mapping[str, Any] | None
) -> tuple[str | Engine, Mapping[str, Any]]:
    """What `Sweep` is given as model and as the engine's settings."""
    if engine is None:
        return model, {}
    if not isinstance(model, str):
        raise UserError("model is an engine that is open: leave engine= out")
    if isinstance(engine, Mapping):
        return model, engine
    if parse_model(model)[1] != engine.info.model:
        raise UserError(f"engine= has {engine.info.model} loaded, and the model is {model}")
    return engine, {}


def _task(task: Any, grader: Any, arguments: Mapping[str, Any]) -> Benchmark:
    if isinstance(task, str):
        return find_task(task, grader, arguments)
    if arguments:
        raise UserError(f"{', '.join(arguments)}: these are for a task that is a name or a file")
    if not isinstance(task, Benchmark):
        return own_questions(task, grader)
    if grader is not None:
        raise UserError("grader= is for one's own questions; a benchmark brings its own")
    return task


def _listed(method: Any) -> list[Any]:
    return list(method) if isinstance(method, list | tuple) else [method]


def _method(given: Any) -> Any:
    """A name or a `Method`, as `plan_settings` takes it."""
    if isinstance(given, str):
        return given
    if not isinstance(given, Method):
        given = own_method(given)
    if METHODS.get(given.name, given) is not given:
        raise UserError(f"{given.name} is a method of s1_eval: give your own another name")
    return given


def own_method(run: Solving) -> Method:
    """An async function of (policy, question, settings) as a method of its name. Its settings are
    the dataclass that its third argument is annotated with."""
    name = getattr(run, "__name__", repr(run))
    if not inspect.iscoroutinefunction(run):
        raise UserError(f"{name} is no method: give a name, or an async function")
    *_, last = [None, *inspect.signature(run).parameters]
    cls = typing.get_type_hints(run).get(last or "")
    if not (inspect.isclass(cls) and dataclasses.is_dataclass(cls)):
        raise UserError(
            f"{name} needs settings: annotate its third argument with a frozen dataclass, as in "
            f"async def {name}(policy, question, settings: Settings)"
        )
    dials = (Dial(each) for each, hint in flat_hints(cls).items() if takes_numbers(hint))
    return Method(name, cls, run, dials=tuple(dials))


def _told(asked: Mapping[str, Any]) -> str:
    """The call, as far as a record may show it."""
    parameters = inspect.signature(evaluate_async).parameters
    settings = asked["settings"]
    shown = {k: v for k, v in asked.items() if k in parameters and k != "settings"}
    shown = {k: v for k, v in shown.items() if v is not parameters[k].default}
    if isinstance(shown.get("engine"), Mapping):
        shown["engine"] = {k: v for k, v in shown["engine"].items() if k != "api_key"}
    words = [f"{name}={_short(value)}" for name, value in {**shown, **settings}.items()]
    return f"s1_eval.evaluate({', '.join(words)})"


def _short(value: Any) -> str:
    if isinstance(value, list | tuple) and len(value) <= 20:
        return f"[{', '.join(map(_short, value))}]"
    if isinstance(value, Method | Benchmark):
        return value.name
    if inspect.isroutine(value):
        return value.__name__
    if hasattr(value, "info"):
        return f"{value.info.engine} {value.info.model}"
    text = repr(str(value) if isinstance(value, Path) else value)
    return text if len(text) <= 200 else f"{text[:199]}…"
