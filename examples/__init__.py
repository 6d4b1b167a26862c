"""Neighbouring image studies on the training package: relations, animals, cars."""
