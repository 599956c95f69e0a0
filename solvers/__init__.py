"""Inspect solvers, one short file per method: what `--solver` names."""
