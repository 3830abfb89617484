"""Readers of files, batches of what they read, and the cache of public data.

A folder for each kind of data; what they share lies beside the folders. Import what you need from the module
that owns it.
"""
