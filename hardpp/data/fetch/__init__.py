"""Fetching public data: where it comes from, how it is verified, and the cache it is kept in."""
