"""Images that are classified from a few glimpses (Mnih et al. 2014, Ba et al. 2015)."""
