"""Metrics of decoded outputs, alignments and boundaries."""
