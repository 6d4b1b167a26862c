"""Speed, memory and abstention, measured. Each module prints its figures: `python -m benchmarks.latency`."""
