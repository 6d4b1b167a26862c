"""Losses of country classifiers and position regressors."""
