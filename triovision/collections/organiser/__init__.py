"""Organiser: a resumable run over any number of photos, its database, exports, sorting, positions and undo."""
