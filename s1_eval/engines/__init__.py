"""Engines continue token ids: `transformers`, `vllm` (in process), `completions` (a server)."""

from s1_eval.engines.protocol import (
    Engine,
    EngineInfo,
    ForcedGeneration,
    ForcingEngine,
    Generation,
    Sampling,
    Stop,
    Tokenizer,
    split_at_stop,
)

__all__ = [
    "Engine",
    "EngineInfo",
    "ForcedGeneration",
    "ForcingEngine",
    "Generation",
    "Sampling",
    "Stop",
    "Tokenizer",
    "split_at_stop",
]
