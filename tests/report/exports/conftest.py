"""Recorded runs to export."""

import pytest
import runs

from s1_eval.records import RunWriter


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """A folder with a sweep over two caps on a data set of the hub."""
    folder = tmp_path_factory.mktemp("recorded")
    for cap, right in ((32, 5), (64, 15)):
        record = runs.record(
            model="lab/thinker",
            method_params={"max_thinking_tokens": cap},
            started="2026-11-26T09:00:00+00:00",
            dataset={"id": "lab/questions", "revision": "0a1b2c3", "fingerprint": "f"},
        )
        with RunWriter(folder / str(cap), record) as writer:
            for i in range(20):
                tokens = {"thinking": cap, "waits": 3, "budget": cap}
                row = runs.row(record, f"q{i}", correct=i < right, **tokens, with_traces=True)
                for trace in row["traces"]:
                    for segment in trace["segments"]:
                        segment["text"] = "x" * len(segment["ids"])
                asked = {"question": f"What is {i}? <b>\u2028", "prompt_tokens": 9}
                writer.append({**row, **asked, "response": f"It is {row['answer']}."})
    return folder
