"""What `hardpp check` finds in guides, objectives and model families of a user's own, on toy data."""
