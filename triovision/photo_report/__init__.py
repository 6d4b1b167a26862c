"""Report of one photo as a self-contained page. Import its modules by name."""
