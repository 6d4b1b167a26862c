"""Predictions over HTTP: the server, its wire format, and clients for programs and for the page.

The clients need no PyTorch and no FastAPI; `app` and `running` need both.
"""
