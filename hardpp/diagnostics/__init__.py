"""What a guide's draws say about a model: labelled posteriors, importance diagnostics, pictures."""
