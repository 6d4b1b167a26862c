"""What the pages are made of; the only library code that imports Streamlit. Import its modules by name."""
