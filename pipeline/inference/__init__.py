"""Photographs and videos in, predictions out: the predictor, what it reads, annotated copies, the server."""
