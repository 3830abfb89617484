"""Sentences about images, each word of one region (Xu et al. 2015, Ba et al. 2015)."""
