"""Objectives: each a `pyro.infer.ELBO` that works on any Pyro model and guide."""
