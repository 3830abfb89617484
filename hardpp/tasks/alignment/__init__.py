"""Sequence pairs: each symbol of the target looks at positions of the source (Deng et al. 2018)."""
