"""Pairs of sequences: words and their phones, sentences and their translations."""
