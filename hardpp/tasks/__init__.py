"""What the command line knows of each model family, and how runs are made of the parts.

The only rooms that bind concrete models, guides, objectives, data and decoding to one another.
"""
