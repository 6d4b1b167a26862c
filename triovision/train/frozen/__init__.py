"""Country classifiers and landmark indexes on frozen backbones, fitted and measured across sources."""
