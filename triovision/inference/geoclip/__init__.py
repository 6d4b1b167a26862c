"""Worldwide engine GeoCLIP: an optional extra whose image encoder comes from a public hub."""
