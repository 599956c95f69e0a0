"""Lines packed with Zstandard (RFC 8878): written so that each is whole on the disk before the next
one begins, and read from files that may be cut short, damaged or hostile.

Frames follow each other. In the last one every line ends with a block, so a process that is killed
leaves a frame without an end, whose lines can all be read; three bytes end it.
"""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

import zstandard

SUFFIX = ".zst"

_LEVEL = 9
_FRAME = 1 << 24
"""Bytes of lines in a frame. What is damaged costs the rest of its frame."""

_END = b"\x01\x00\x00"
"""An empty raw block that says it is the last one."""

_WINDOW = 1 << 27
"""Bytes of memory that a frame may ask a reader for: what zstd's own tool allows."""

_RATIO, _ANYWAY = 1000, 1 << 28
"""How many times its size a file may unpack to, beside so many bytes. Rows of text pack to a fifth
or a tenth, the same row again and again to a hundredth."""

Damaged = zstandard.ZstdError
"""What can't be unpacked."""


class Packer:
    """Packs lines one by one."""

    def __init__(self) -> None:
        self._frame: Any = None
        self._room = 0
        self._torn = self._was_open = False

    def pack(self, line: bytes) -> bytes:
        """The bytes that append a line."""
        self._was_open = self._torn or self._frame is not None
        packed: bytes = _END if self._torn else b""
        self._torn = False
        if self._frame is None:
            options = zstandard.ZstdCompressionParameters.from_level(
                _LEVEL, write_content_size=False, write_checksum=False
            )
            self._frame = zstandard.ZstdCompressor(compression_params=options).compressobj()
            self._room = _FRAME
        packed += self._frame.compress(line)
        packed += self._frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        self._room -= len(line)
        return packed if self._room >= 0 else packed + self.end()

    def end(self) -> bytes:
        """The bytes that end the frame, if one is open."""
        if self._torn:
            self._torn = False
            return _END
        frame, self._frame = self._frame, None
        return b"" if frame is None else bytes(frame.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH))

    def lost(self) -> None:
        """The line that was packed last was not written, no byte of it."""
        self._torn, self._frame = self._was_open, None


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where a frame stands, its first block, and its end, None where it has none."""

    start: int
    blocks: int
    end: int | None
    checksum: bool


def _frames(file: IO[bytes]) -> Iterator[_Frame]:
    """The frames of a file by their headers. Raises `Damaged` where none begins."""
    size = file.seek(0, os.SEEK_END)
    start = 0
    while start < size:
        file.seek(start)
        head = file.read(18)
        if head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5 and len(head) >= 8:
            start += 8 + int.from_bytes(head[4:8], "little")  # a frame to be skipped
            continue
        if not zstandard.FRAME_HEADER.startswith(head[:4]):
            raise Damaged(f"no Zstandard frame begins at byte {start}")
        try:
            blocks = start + zstandard.frame_header_size(head)
            checksum = zstandard.get_frame_parameters(head).has_checksum
        except Damaged:  # cut short
            blocks, checksum = size, False
        end, last = [*deque(_blocks(file, blocks, size), 1), (size, False)][0]
        end += 4 * checksum
        whole = last and end <= size
        yield _Frame(start, blocks, end if whole else None, checksum)
        start = end if whole else size


def _blocks(file: IO[bytes], at: int, size: int) -> Iterator[tuple[int, bool]]:
    """Where each block of a frame ends that is there as a whole, and whether it is the last one.
    at: where the first one begins."""
    last = False
    while at <= size - 3 and not last:
        file.seek(at)
        head = int.from_bytes(file.read(3), "little")
        last = bool(head & 1)
        at += 3 + (1 if head >> 1 & 3 == 1 else head >> 3)  # a repeated byte, or so many
        if at <= size:
            yield at, last


def torn(file: IO[bytes]) -> tuple[int, bytes] | None:
    """Where the last frame of a file has no end: how many bytes of the file hold whole lines, and
    what is to follow them. None where it has.

    Raises `Damaged` on what can't be ended so, since it was not written here.
    """
    [last] = deque(_frames(file), 1) or [None]
    if last is None or last.end is not None:
        return None
    if last.checksum:
        raise Damaged("its last frame, which has a checksum, is cut short")
    good, at = last.start, last.start
    unpack = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
    for end, _ in _blocks(file, last.blocks, file.seek(0, os.SEEK_END)):
        file.seek(at)
        if unpack.decompress(file.read(end - at)).endswith(b"\n"):
            good = end
        at = end
    return good, _END if good > last.start else b""


def unpacked(file: IO[bytes]) -> IO[bytes]:
    """The lines of a packed file, which stays open. Reading raises `Damaged` at what can't be
    unpacked; the next reading goes on with the frame behind it."""
    return io.BufferedReader(_Unpacked(file), 1 << 16)


class _Part:
    """A file from one byte to another, as far as a decompressor reads it."""

    def __init__(self, file: IO[bytes], start: int, end: int | None) -> None:
        self._file, self._at, self._end = file, start, end

    def read(self, size: int) -> bytes:
        left = size if self._end is None else min(size, self._end - self._at)
        self._file.seek(self._at)
        data = self._file.read(left)
        self._at += len(data)
        return data


class _Unpacked(io.RawIOBase):
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._most = _ANYWAY + _RATIO * file.seek(0, os.SEEK_END)
        self._frames = _frames(file)
        self._frame: Any = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if self._frame is None:
                if (frame := next(self._frames, None)) is None:
                    return 0
                unpack = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
                part = cast(IO[bytes], _Part(self._file, frame.start, frame.end))
                self._frame = unpack.stream_reader(part)
            try:
                number: int = self._frame.readinto(buffer)
            except Damaged:
                self._frame = None
                raise
            if number:
                self._most -= number
                if self._most < 0:
                    self._frame, self._frames = None, iter(())
                    raise Damaged(f"it unpacks to over {_RATIO} times its size")
                return number
            self._frame = None
