"""Values of `metrics.json`, which training writes and pages draw."""
