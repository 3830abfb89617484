"""What lowers the variance of an estimator, or steers it: baselines, schedules, closed forms."""
