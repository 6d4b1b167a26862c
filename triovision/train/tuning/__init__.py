"""Hyper-parameter studies and cross-validation."""
