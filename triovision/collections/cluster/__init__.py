"""Predictions on several machines: photos from storage that all of them reach, answers in parts of one data set."""
