"""What a gateway says of itself in Prometheus' format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from s1_eval.thinking import Outcome, Trace

if TYPE_CHECKING:
    from s1_eval.serve.gateway import Gateway

SECONDS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Metrics:
    """Of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        registry = self._registry = CollectorRegistry()

        def counter(name: str, said: str, *labels: str) -> Counter:
            return Counter(f"s1_eval_{name}", said, labels, registry=registry)

        self._requests = counter("requests", "Requests by path and status.", "path", "status")
        self._questions = counter("questions", "Questions that were answered.", "method")
        self._tokens = counter(
            "tokens",
            "Tokens by role: prompt (of all requests to the engine), cached (a part of them), "
            "thinking, answer and delimiter (sampled), reused (of these, from a continuation "
            "cache), forced, discarded (sampled for nothing), verifier.",
            "role",
        )
        self._seconds = Histogram(
            "s1_eval_request_seconds",
            "Until the last byte of an answer.",
            ("path",),
            registry=registry,
            buckets=SECONDS,
        )
        for name, said, read in (
            ("questions_running", "Questions that are being solved.", lambda: gateway.gate.running),
            ("questions_waiting", "Questions that wait.", lambda: gateway.gate.waiting),
            ("batch", "Requests that the engine has in flight.", lambda: gateway.engine.in_flight),
        ):
            Gauge(f"s1_eval_{name}", said, registry=registry).set_function(read)

    def requested(self, path: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def answered(self, method: str, outcome: Outcome, record: Mapping[str, Any]) -> None:
        """A question was answered."""
        self._questions.labels(method).inc()
        for role, tokens in tokens_of(outcome, record).items():
            self._tokens.labels(role).inc(tokens)

    def text(self) -> bytes:
        return generate_latest(self._registry)


def tokens_of(outcome: Outcome, record: Mapping[str, Any]) -> dict[str, int]:
    """Tokens of a question by role. What chains have in common was sampled once and counts once."""
    traces, chosen = outcome.traces, {*outcome.chosen}
    return {
        "prompt": record.get("prompt_tokens") or 0,
        "cached": record.get("cached_tokens") or 0,
        "thinking": sum(map(_own_thinking, traces)),
        "answer": sum(len(t.ids("answer", "sampled")) for t in traces),
        "delimiter": sum(len(t.ids("delimiter", "sampled")) for t in traces),
        "reused": sum(t.reused for t in traces),
        "forced": outcome.forced_tokens,
        "discarded": sum(t.generated_tokens for i, t in enumerate(traces) if i not in chosen),
        "verifier": outcome.verifier_tokens,
    }


def _own_thinking(trace: Trace) -> int:
    """Thinking ids that were sampled for this trace alone."""
    sampled, shared = len(trace.ids("thinking", "sampled")), trace.shared
    for segment in trace.segments:
        if segment.role != "thinking" or shared <= 0:
            continue
        if segment.origin == "forced":
            shared -= 1  # the end that was ignored
            continue
        common = min(shared, len(segment.ids))
        sampled, shared = sampled - common, shared - common
    return sampled
