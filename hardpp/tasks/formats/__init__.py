"""Text formats of alignments: TextGrid, CTM, Pharaoh."""
