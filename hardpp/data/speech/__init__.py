"""Recordings, what is said in them and when."""
