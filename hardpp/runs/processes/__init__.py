"""Several processes that work on one run: their ranks, and what they hand round."""
