"""Images of which a few patches are shown, and the design of glimpses (Harvey et al. 2019)."""
