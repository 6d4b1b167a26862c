"""Plotly figures, heat map overlays and Folium maps of predictions and training metrics."""
