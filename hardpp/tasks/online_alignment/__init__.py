"""Speech: tokens that are said as its frames come (Lawson et al. 2017)."""
