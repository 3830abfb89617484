"""Hard attention as probabilistic programs: discrete alignments and glimpses, any guide, any objective."""

__version__ = "0.1.0"
