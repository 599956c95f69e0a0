"""Results in other people's formats: the hub's `.eval_results/*.yaml` and Every Eval Ever."""

from s1_eval.report.exports.every_eval_ever import RELATIONSHIPS, Evaluator, every_eval_ever
from s1_eval.report.exports.hub import Benchmark, hub
from s1_eval.report.exports.names import model_ids

__all__ = ["RELATIONSHIPS", "Benchmark", "Evaluator", "every_eval_ever", "hub", "model_ids"]
