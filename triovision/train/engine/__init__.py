"""Training runs: Lightning modules, trainer, optimisers, callbacks and run folders."""
