"""Streamlit widgets of the pages: the only library code that imports Streamlit. Import its modules by name."""
