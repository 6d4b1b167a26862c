"""Speed, memory and abstention, measured; each module prints its results: `python -m benchmarks.latency`."""
