"""Generative programs; each names its sample sites and knows nothing of inference."""
