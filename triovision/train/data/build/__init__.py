"""Manifests built from folders of photos."""
