"""Bayesian optimal experimental design: where to look next so as to learn most about a label."""
