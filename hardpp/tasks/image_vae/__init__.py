"""Completion of partly seen images: a variational autoencoder, and a partial encoder (Harvey et al. 2022)."""
