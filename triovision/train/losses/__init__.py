"""Losses of country classifiers and position regressors, registered by name."""
