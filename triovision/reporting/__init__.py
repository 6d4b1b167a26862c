"""HTML reports of runs, comparisons and studies; the one package that imports both train and viz."""
