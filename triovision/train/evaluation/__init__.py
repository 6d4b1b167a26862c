"""Metrics, baselines, comparisons and benchmarks of runs and models."""
