"""Sums over latents: enumeration, factor graphs, lattices, and terms that may be left out of them."""
