"""Methods of test-time scaling, one file each, and the table that names them."""

from s1_eval.methods.method import Budget, Dial, Method
from s1_eval.methods.policy import Policy, Question
from s1_eval.methods.table import METHODS, method, settings

__all__ = ["METHODS", "Budget", "Dial", "Method", "Policy", "Question", "method", "settings"]
