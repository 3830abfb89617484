"""Groups of verbs that the command line is put together from."""
