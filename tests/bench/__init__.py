"""Measurements, not tests: `make bench` compares with the alternative in the same run and prints ratios."""
