"""Test-time scaling, measured: budget forcing and its baselines for Inspect and lm-eval."""

__version__ = "0.1.0"
