"""The embedded model's making: its problems, traces, tokenizer and measured card."""
