"""OpenAI-compatible servers, probed and benchmarked from outside."""
