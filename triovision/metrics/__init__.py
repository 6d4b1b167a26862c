"""Schemas of `metrics.json`, written by training and read by reports."""
