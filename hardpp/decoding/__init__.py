"""From sources to output symbols: the next symbol's distribution, greedy choice and beam search."""
