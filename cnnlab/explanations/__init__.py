"""Sentences computed from results: what the figures of `analysis` and `report` mean, for pages and tables."""
