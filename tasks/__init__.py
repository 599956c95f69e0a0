"""Benchmarks, one short file each: the data, the prompt, the grader, and the Inspect task."""
