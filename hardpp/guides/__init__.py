"""Guides: programs over a model's latent sites that may read what the model has to predict."""
