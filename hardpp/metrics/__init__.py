"""Figures of merit of decoded outputs and links; import each from the module that owns it."""
