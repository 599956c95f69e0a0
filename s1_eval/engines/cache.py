"""The continuation cache: an engine that remembers what a model continued from given ids.

A chain is what was sampled after a prompt, stops included. Greedy decoding has one chain per
prompt: a shorter cap is a prefix of it, another stop ends it elsewhere, and a longer cap goes on
from its end. So a sweep over budgets decodes each question's longest run and little else. With
a seed the random numbers of a chain can't be taken up in the middle: it serves what it contains
and is sampled anew for more. Sampling without a seed is passed through.

An engine that honours no seed per request gives another chain each time. With `keep_samples` the
first one stands for its seed, so that the runs of a sweep share it there as well: cut at a smaller
cap it is distributed as a chain of that cap, and gone on with from its end as one of a larger cap.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import re
import sqlite3
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from weakref import WeakValueDictionary

from tenacity import retry, retry_if_exception, stop_after_delay, wait_random

from s1_eval.engines.continuation import banned_early, check_room, first_stop, joined
from s1_eval.engines.protocol import (
    Engine,
    EngineInfo,
    Generation,
    Sampling,
    Stop,
    Tokenizer,
    total_time,
)
from s1_eval.engines.watching import behind, watch, watched
from s1_eval.errors import UserError
from s1_eval.thinking import Logprobs

_LOGGER = logging.getLogger(__name__)
_PATIENCE = 60
"""Seconds that a process waits for another one's turn with the file."""

_FORMAT = 1
"""Raised whenever a chain recorded earlier would no longer be what the same key means."""


class CachedEngine:
    """`engine`, asked only for what `folder` does not know yet.

    Keys hold everything that changes a result: the weights' fingerprint, engine, versions,
    settings and dtype, the sampling, its seed and bans, the ids suppressed by `min_tokens`, how
    many log-probabilities go with each id, and the prompt. A server is known by its address and
    its model's name alone, so give each set of weights a folder of its own.

    Any number of processes may share the folder, on a local disk. Requests for one chain wait
    for each other, so what two of them need is decoded once.
    """

    def __init__(self, engine: Engine, folder: str | Path, *, keep_samples: bool = False) -> None:
        """keep_samples: also what a seed would not give again."""
        self.engine = engine
        self._keep_samples = keep_samples
        info = engine.info
        self._scope = [
            _FORMAT,
            info.engine,
            info.fingerprint,
            info.dtype,
            sorted(info.versions.items()),
            sorted(info.settings.items()),
        ]
        # The same few at every request of a sweep.
        self._greedy = lru_cache(maxsize=256)(
            lambda stop, banned, logprobs: self._name(
                ("greedy",), stop, Sampling(banned=banned, logprobs=logprobs)
            )
        )
        self._chains = _Chains(Path(folder))
        self._locks: WeakValueDictionary[tuple[int, bytes], asyncio.Lock] = WeakValueDictionary()

    @property
    def info(self) -> EngineInfo:
        return self.engine.info

    @property
    def tokenizer(self) -> Tokenizer:
        return self.engine.tokenizer

    async def generate(
        self, prompt: Sequence[int], *, max_tokens: int, stop: Stop, sampling: Sampling
    ) -> Generation:
        """See `Engine.generate`; `Generation.reused` says how much of it was known."""
        check_room(self.info, prompt, max_tokens)
        greedy = sampling.temperature == 0
        repeats = self.info.seeding == "request"
        if not greedy and (sampling.seed is None or not (repeats or self._keep_samples)):
            return await self.engine.generate(
                prompt, max_tokens=max_tokens, stop=stop, sampling=sampling
            )
        key = self._key(prompt, stop, sampling)
        lock = self._locks.setdefault((id(asyncio.get_running_loop()), key), asyncio.Lock())
        async with lock:
            chain, likely = _unpack(self._chains.get(key), sampling.logprobs)
            known, told = chain[:max_tokens], None if likely is None else likely[:max_tokens]
            found = first_stop(known, stop, self.tokenizer)
            if not found and len(known) < max_tokens and not greedy and repeats:
                known, told = (), None if told is None else told[:0]
            ids = known
            asked: list[Generation] = []
            if ids and not found and (tell := watch()):
                tell(0, ids)
            while not found and len(ids) < max_tokens:
                with watched(behind(len(ids), watch())):
                    more = await self.engine.generate(
                        (*prompt, *ids),
                        max_tokens=max_tokens - len(ids),
                        stop=replace(stop, min_tokens=max(stop.min_tokens - len(ids), 0)),
                        sampling=sampling,
                    )
                asked.append(more)
                new = more.ids + more.stop_ids
                ids += new
                told = joined(told, more.logprobs, len(new))
                # Looked for in the whole, since a stop string may begin in what was known.
                found = first_stop(ids, stop, self.tokenizer)
            if len(ids) > len(chain) and (told is None) == (sampling.logprobs is None):
                self._chains.put(key, _pack(ids, told))
                if told is not None:  # which serves whoever asks for the ids alone as well
                    bare = replace(sampling, logprobs=None)
                    self._chains.put(self._key(prompt, stop, bare), _pack(ids))
        generation = found or Generation(ids)
        length = len(generation.ids) + len(generation.stop_ids)
        return replace(
            generation,
            reused=min(len(known), length),
            cached_tokens=asked[0].cached_tokens if asked and not known else None,
            timing=total_time([more.timing for more in asked]),
        ).told(told)

    def close(self) -> None:
        self.engine.close()
        self.forget()

    def forget(self) -> None:
        """Close the folder and leave the engine open."""
        self._chains.close()

    def _key(self, prompt: Sequence[int], stop: Stop, sampling: Sampling) -> bytes:
        if sampling.temperature > 0:
            # An engine may draw anew after a suspected stop string, so these are part of it.
            how = (sampling.temperature, sampling.top_p, sampling.top_k, sampling.seed)
            named = self._name((*how, *sorted(stop.strings)), stop, sampling)
        else:
            suppressed = stop if stop.min_tokens else Stop()
            named = self._greedy(suppressed, sampling.banned, sampling.logprobs)
        return hashlib.sha256(named + b"\0" + _pack(prompt)).digest()

    def _name(self, how: tuple[object, ...], stop: Stop, sampling: Sampling) -> bytes:
        """A key without its prompt."""
        told = () if sampling.logprobs is None else ({"logprobs": sampling.logprobs},)
        banned = ({"banned": sorted(sampling.banned)},) if sampling.banned else ()
        suppressed: list[int] = []
        if stop.min_tokens:
            suppressed = [stop.min_tokens, *sorted(banned_early(stop, self.tokenizer))]
        return json.dumps([self._scope, [*how, *told, *banned], suppressed]).encode()


_PUT = (
    "INSERT INTO chains VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE "
    "SET ids = excluded.ids, checksum = excluded.checksum "
    "WHERE length(excluded.ids) > length(ids)"
)


class _Chains:
    """Chains on disk, in SQLite.

    Every chain carries a checksum, and a damaged database is left where it is and followed by a
    new one with the next number: renaming or deleting a database that another process has open
    would damage its successor. Trouble with the disk costs reuse, never a run.

    What is put in one turn of the event loop is written at its end, in one transaction.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._warned: set[str] = set()
        self._new: dict[bytes, bytes] = {}
        self._number = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = self._open(0)
        except (OSError, sqlite3.Error) as error:
            raise UserError(
                f"the cache folder {folder} can't be used ({error}): give a folder on a local "
                "disk that you may write to"
            ) from error

    def get(self, key: bytes) -> bytes:
        """The longest chain recorded under `key`, see `_pack`; empty without one."""
        if (new := self._new.get(key)) is not None:
            return new
        row = self._execute("SELECT ids, checksum FROM chains WHERE key = ?", (key,))
        if row is None:
            return b""
        ids, checksum = row
        if not isinstance(ids, bytes) or len(ids) % 4 or checksum != zlib.crc32(key + ids):
            _LOGGER.warning("a damaged chain in %s is decoded again", self._folder)
            self._execute("DELETE FROM chains WHERE key = ?", (key,))
            return b""
        return ids

    def put(self, key: bytes, packed: bytes) -> None:
        """Records a chain, unless a longer one has arrived meanwhile."""
        with self._lock:
            waiting = bool(self._new)
            if len(packed) > len(self._new.get(key, b"")):
                self._new[key] = packed
        if not waiting:
            asyncio.get_running_loop().call_soon(self._write)

    def close(self) -> None:
        self._write()
        with self._lock:
            self._connection.close()

    def _write(self) -> None:
        with self._lock:
            new, self._new = self._new, {}
            rows = [(key, packed, zlib.crc32(key + packed)) for key, packed in new.items()]
            if rows:
                with self._costing_reuse_alone():
                    self._connection.execute("BEGIN IMMEDIATE")
                    self._connection.executemany(_PUT, rows)
                    self._connection.execute("COMMIT")

    def _execute(self, statement: str, values: tuple[object, ...]) -> tuple[object, ...] | None:
        """The first row of the answer; None where there is none or the database is unusable."""
        row: tuple[object, ...] | None = None
        with self._lock, self._costing_reuse_alone():
            row = self._connection.execute(statement, values).fetchone()
        return row

    @contextlib.contextmanager
    def _costing_reuse_alone(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            self._warn(error)
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()
            if _is_damage(error):
                self._connection.close()
                with contextlib.suppress(sqlite3.Error):
                    self._connection = self._open(self._number + 1)

    def _open(self, number: int) -> sqlite3.Connection:
        """A connection to the latest usable database, numbered `number` or higher."""
        names = (re.fullmatch(r"chains-(\d+)\.sqlite3", p.name) for p in self._folder.iterdir())
        self._number = max([number, *(int(name[1]) for name in names if name)])
        path = self._folder / f"chains-{self._number}.sqlite3"
        connection = sqlite3.connect(
            path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )
        try:
            _log_ahead(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS chains "
                "(key BLOB PRIMARY KEY, ids BLOB NOT NULL, checksum INTEGER NOT NULL)"
            )
            connection.execute("SELECT key, ids, checksum FROM chains LIMIT 1").fetchone()
        except sqlite3.Error as error:
            connection.close()
            if not _is_damage(error):
                raise
            self._warn(error)
            return self._open(self._number + 1)
        return connection

    def _warn(self, error: sqlite3.Error) -> None:
        if str(error) not in self._warned:
            self._warned.add(str(error))
            _LOGGER.warning(
                "continuation cache %s, chains-%d.sqlite3: %s; what it can't give is decoded",
                self._folder,
                self._number,
                error,
            )


@retry(
    retry=retry_if_exception(lambda error: _code(error) == sqlite3.SQLITE_BUSY),
    wait=wait_random(0.01, 0.1),
    stop=stop_after_delay(_PATIENCE),
    reraise=True,
)
def _log_ahead(connection: sqlite3.Connection) -> None:
    """Readers and a writer don't wait for each other. SQLite itself does not wait here: a process
    that finds another one doing the same to a new file is told at once that it is locked."""
    connection.execute("PRAGMA journal_mode = WAL")


def _code(error: BaseException) -> int:
    """SQLite's primary result code, 0 for other errors."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is broken or not ours, as opposed to busy, full or read-only."""
    return _code(error) in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_ERROR,
    )


def _pack(ids: Sequence[int], logprobs: Logprobs | None = None) -> bytes:
    """A chain's ids, then their log-probabilities."""
    return struct.pack(f"<{len(ids)}I", *ids) + (logprobs.pack() if logprobs else b"")


def _unpack(packed: bytes, likely: int | None) -> tuple[tuple[int, ...], Logprobs | None]:
    """Inverse of `_pack`. likely: the width of the log-probabilities, None without any."""
    words = 1 if likely is None else 2 + 2 * likely
    number = len(packed) // (4 * words)
    ids = struct.unpack(f"<{number}I", packed[: 4 * number])
    if likely is None:
        return ids, None
    return ids, Logprobs.unpack(packed[4 * number :], likely, number)
