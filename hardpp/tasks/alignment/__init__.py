"""Sequence pairs: each symbol of the target attends to positions of the source (Deng et al. 2018)."""
