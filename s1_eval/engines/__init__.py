"""Engines continue token ids: `transformers`, `vllm` (in process), `completions` (a server)."""

from s1_eval.engines.protocol import (
    Engine,
    EngineInfo,
    Generation,
    Sampling,
    Stop,
    Tokenizer,
    split_at_stop,
)

__all__ = [
    "Engine",
    "EngineInfo",
    "Generation",
    "Sampling",
    "Stop",
    "Tokenizer",
    "split_at_stop",
]
