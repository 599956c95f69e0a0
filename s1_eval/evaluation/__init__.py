"""The one path of a question, whoever asks it: benchmark and data, the plan of runs, the run, and
the graded row. Sweep, the harnesses and the public API take it; no harness is known here.
"""
