"""Readers that turn files into corpora, corpora into batches, and the cache that fetches public data.

Import what you need from the module that owns it; nothing but `batches` imports torch.
"""
