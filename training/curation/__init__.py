"""From a pool of questions to s1K (arXiv 2501.19393, section 2): collect, decontaminate, quality,
difficulty, diversity. One stage per file; `pipeline` runs them."""
