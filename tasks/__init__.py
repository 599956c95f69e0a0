"""Benchmarks, one short file each: the Inspect task, and beside it the YAML for lm-eval."""
