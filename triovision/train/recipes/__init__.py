"""Recipes: sections, readers and the TOML files that come with the package."""
