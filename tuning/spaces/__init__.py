"""One file a search; its name is what one types. See `tuning/space.py` for what it holds."""
