"""Questions about images, each answered from one region (Deng et al. 2018)."""
