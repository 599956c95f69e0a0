"""The table of dialects. Adding one touches its own file, this table, its server in
`tests/engines/spoken.py` and its line in docs/servers.md."""

from __future__ import annotations

from s1_eval.engines.dialects.llama_cpp import LlamaCpp
from s1_eval.engines.dialects.protocol import Dialect
from s1_eval.engines.dialects.sglang import SGLang
from s1_eval.engines.dialects.vllm import VLLM_IDS, VLLM_LOGPROBS

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (VLLM_IDS, VLLM_LOGPROBS, LlamaCpp(), SGLang())
}
"""In the order in which a server that does not sign is tried."""
