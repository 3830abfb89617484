"""How far probabilities and intervals can be believed, held against answers that are known."""
