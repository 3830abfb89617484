"""Images that are classified from a few of their places (Elsayed et al. 2019)."""
