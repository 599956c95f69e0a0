"""Training: examples and where they come from, recipes, fine-tuning with TRL, and nano itself."""
