"""Steps whose numbers went bad: kept in the run folder, and shown again."""
