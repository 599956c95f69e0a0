"""Sweeps made up for tests of the leaderboard; their names and traces try everything."""

import runs

from s1_eval.records import RunWriter

EVIL = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
)
ANSI = "\x1b[2J\u2028\u202e"
CAPS = (32, 64, 128)


def trace(text, exit_reason="natural"):
    return {
        "prompt": [],
        "segments": [
            {"role": "delimiter", "origin": "forced", "ids": [1], "text": "<|im_start|>think\n"},
            {"role": "thinking", "origin": "sampled", "ids": [2], "text": text},
            {"role": "thinking", "origin": "forced", "ids": [3], "text": "Wait"},
            {"role": "answer", "origin": "sampled", "ids": [4], "text": "7"},
        ],
        "exit_reason": exit_reason,
    }


def write_runs(folder, questions=40):
    """A sweep over caps and a plain run, one of the caps not kept."""
    plans = [("plain", {}, None, 28, 150)]
    plans += [
        ("budget_forcing", {"max_thinking_tokens": cap}, cap, right, used)
        for cap, right, used in zip(CAPS, (12, 20, 27), (30, 70, 120), strict=True)
    ]
    for number, (method, params, budget, right, used) in enumerate(plans):
        record = runs.record(method, method_params=params, model=f"nano {EVIL}")
        with RunWriter(folder / str(number), record) as writer:
            for i in range(questions):
                row = runs.row(
                    record, f"q{i:03}{EVIL}", correct=i < right, thinking=used, budget=budget
                )
                writer.append({**row, "traces": [trace(f"3+4 is 7. {EVIL}{ANSI}")]})
    return folder
