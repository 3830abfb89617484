"""Readers that turn files into corpora, corpora into batches, and the cache that fetches public data.

A folder for each kind of data; what they share lies beside the folders. Import what you need from the module
that owns it.
"""
