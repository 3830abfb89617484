"""Run folders: training in one, keeping it whole, opening it again."""
