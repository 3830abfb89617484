"""Guides: programs that sample a model's latent sites and may read what the model has to predict."""

import lazy_loader

# The names of __init__.pyi; to import this package alone does not import torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
