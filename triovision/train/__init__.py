"""Reproduces every model that the app shows: data, recipes, loop, evaluation, export."""
