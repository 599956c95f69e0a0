"""The dialects that model servers speak: one file and one line in `table.py` each. How a server is
asked to continue ids, and what its replies mean; which server is asked when, and how often, is
`s1_eval.engines.completions`' business."""
