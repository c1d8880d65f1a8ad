"""Grids of searches and trainings, and the tables they end in."""
