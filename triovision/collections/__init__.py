"""Collections of photos: intake of folders and archives, answers in a table, exports. Import its modules by name."""
