"""Model folders made from finished runs: cards, calibration and ensembles."""
