"""`samples.jsonl.zst`: everything that `samples.jsonl` is, in a fifth of the room."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal

import pytest
import runs
import zstandard

from s1_eval import packing
from s1_eval.cli.main import main
from s1_eval.errors import UserError
from s1_eval.json_lines import AppendedLines, read_lines
from s1_eval.packing import Packer, torn, unpacked
from s1_eval.records import RunWriter, read_rows, read_runs
from s1_eval.records.repair import repair
from s1_eval.records.store import PACKED, SAMPLES

RECORD = runs.record()


def row(sample_id: str, length: int = 200) -> dict:
    rng = random.Random(sample_id)  # noqa: S311
    trace = {"prompt": [rng.randrange(99) for _ in range(length)], "segments": []}
    return {**runs.row(RECORD, sample_id), "traces": [{**trace, "exit_reason": "natural"}]}


def write(folder, ids, packed=True, length=200):
    with RunWriter(folder, RECORD, packed=packed) as writer:
        for sample_id in ids:
            writer.append(row(sample_id, length))


def ids_in(path) -> list[str]:
    return [each["sample_id"] for _, each in read_lines(path)]


def test_a_packed_run_reads_back_as_the_plain_one(tmp_path):
    ids = [str(n) for n in range(40)]
    write(tmp_path / "packed", ids)
    write(tmp_path / "plain", ids, packed=False)
    assert not (tmp_path / "packed" / SAMPLES).exists()
    [packed], [plain] = read_runs([tmp_path / "packed"]), read_runs([tmp_path / "plain"])
    assert packed.rows == plain.rows
    assert [r.row for r in read_rows([packed])] == [r.row for r in read_rows([plain])]
    sizes = [(tmp_path / f / n).stat().st_size for f, n in (("plain", SAMPLES), ("packed", PACKED))]
    assert sizes[0] > 3 * sizes[1]


def test_it_is_gone_on_with_as_it_was_begun(tmp_path):
    write(tmp_path / "packed", ["a"])
    write(tmp_path / "packed", ["b"], packed=False)
    assert ids_in(tmp_path / "packed" / PACKED) == ["a", "b"]
    write(tmp_path / "plain", ["a"], packed=False)
    write(tmp_path / "plain", ["b"])
    assert ids_in(tmp_path / "plain" / SAMPLES) == ["a", "b"]


@pytest.mark.parametrize("length", [200, 200_000])
def test_cut_anywhere_every_whole_line_is_kept_and_the_run_goes_on(tmp_path, length):
    whole = tmp_path / "whole"
    write(whole, ["a", "b"], length=length)
    shutil.copytree(whole, tmp_path / "first")
    data = (whole / PACKED).read_bytes()
    rng = random.Random(0)  # noqa: S311
    first = len(Packer().pack(json.dumps(row("a", length)).encode() + b"\n"))
    cuts = {0, 1, 3, 5, 8, first - 1, first, first + 1, len(data) - 4, len(data) - 1}
    for cut in sorted({*cuts, *(rng.randrange(len(data)) for _ in range(8))}):
        folder = tmp_path / str(cut)
        folder.mkdir()
        shutil.copy(whole / "run.json", folder)
        (folder / PACKED).write_bytes(data[:cut])
        kept = ["a", "b"][: (cut >= first) + (cut >= len(data) - 3)]
        with RunWriter(folder, RECORD) as writer:
            assert [id for id, _ in sorted(writer.done)] == kept
            writer.append(row("c"))
        assert ids_in(folder / PACKED) == [*kept, "c"]
        assert torn((folder / PACKED).open("rb")) is None


def test_each_sample_survives_kill_9_and_can_be_read_before_the_run_goes_on(tmp_path):
    def work():
        writer = RunWriter(tmp_path, RECORD, packed=True)
        writer.append(row("a"))
        os.kill(os.getpid(), signal.SIGKILL)

    for _ in range(2):
        process = multiprocessing.get_context("fork").Process(target=work)
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    assert ids_in(tmp_path / PACKED) == ["a", "a"]


@pytest.mark.parametrize("before", [0, 1], ids=["its first", "a later one"])
def test_a_full_disk_costs_the_line_alone_and_writing_can_go_on(tmp_path, before):
    path = tmp_path / "x.zst"
    again = [row("a")["traces"], row("b")["traces"]]  # what a frame would say by what it has said

    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with AppendedLines(path, tmp_path, "…") as lines:
            for n in range(before):
                lines.append({"n": n, "told": again[0]})
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 4, -1))
            with pytest.raises(UserError, match="make room"):
                lines.append({"n": 7, "told": again[1]})
            resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
            lines.append({"n": 8, "told": again[1]})
            lines.append({"n": 9, "told": again[0]})
        assert [each["n"] for _, each in read_lines(path)] == [*range(before), 8, 9]

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == 0


def test_frames_of_other_tools_are_read_and_a_line_may_lie_in_two(tmp_path):
    path = tmp_path / "x.zst"
    data = b"".join(b'{"n": %d}\n' % n for n in range(1000))
    pack = zstandard.ZstdCompressor(write_checksum=True).compress
    skipped = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
    path.write_bytes(pack(data[:333]) + skipped + pack(data[333:]))
    assert [each["n"] for _, each in read_lines(path)] == [*range(1000)]


def test_damage_costs_its_frame_and_repair_keeps_the_others(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(packing, "_FRAME", 100)  # so that each line has its own
    write(tmp_path, ["a", "b", "c"])
    data = bytearray((tmp_path / PACKED).read_bytes())
    starts = [frame.start for frame in packing._frames(io.BytesIO(data))]
    data[starts[1] + 12 : starts[1] + 200] = bytes(188)
    (tmp_path / PACKED).write_bytes(data)
    with pytest.raises(UserError, match=r"(?s)\.zst line 2 can't be unpacked.*`s1-eval repair"):
        RunWriter(tmp_path, RECORD)
    assert main(["repair", str(tmp_path)]) == 0
    assert ids_in(tmp_path / PACKED) == ["a", "c"]
    write(tmp_path, ["b"])
    assert sorted(ids_in(tmp_path / PACKED)) == ["a", "b", "c"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.json", PACKED, f"{PACKED}.bad"]
    assert (tmp_path / f"{PACKED}.bad").read_bytes() == data


def test_what_is_no_packed_file_is_named(tmp_path):
    write(tmp_path, ["a"])
    (tmp_path / PACKED).write_text("{}\n")
    with pytest.raises(UserError, match="line 1 can't be unpacked: no Zstandard frame begins"):
        read_runs([tmp_path])
    assert repair(tmp_path)
    assert ids_in(tmp_path / PACKED) == []
    assert (tmp_path / f"{PACKED}.bad").read_text() == "{}\n"


def test_a_folder_with_both_is_refused_by_name(tmp_path):
    write(tmp_path, ["a"])
    (tmp_path / SAMPLES).write_text("")
    for refused in (lambda: read_runs([tmp_path]), lambda: write(tmp_path, ["b"])):
        with pytest.raises(UserError, match=r"holds both samples\.jsonl and samples\.jsonl\.zst"):
            refused()
    with pytest.raises(UserError, match="holds both"):
        repair(tmp_path)


def test_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("s1_eval.json_lines.MAX_LINE", 1 << 20)
    path = tmp_path / "x.zst"
    path.write_bytes(zstandard.ZstdCompressor().compress(b'"' + b" " * (1 << 24)))
    with pytest.raises(UserError, match=f"longer than {1 << 20} bytes"):
        list(read_lines(path))
    monkeypatch.setattr(packing, "_ANYWAY", 1 << 20)
    monkeypatch.setattr(packing, "_RATIO", 10)
    path.write_bytes(zstandard.ZstdCompressor().compress(b"{}\n" * (1 << 20)))
    with pytest.raises(UserError, match="unpacks to over 10 times its size"):
        list(read_lines(path))
    bad = []
    assert len(list(read_lines(path, bad.append))) < 400_000
    assert len(bad) <= 2


def test_a_window_of_gigabytes_is_refused(tmp_path):
    options = zstandard.ZstdCompressionParameters(window_log=28, write_content_size=False)
    pack = zstandard.ZstdCompressor(compression_params=options).compressobj()
    with pytest.raises(packing.Damaged, match="too much memory"):
        unpacked(io.BytesIO(pack.compress(b"{}\n") + pack.flush())).readline()
