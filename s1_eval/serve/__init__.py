"""The gateway: an OpenAI-compatible server that answers by any method and tells what it does."""
