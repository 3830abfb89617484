"""Drawing particles, matching model and guide, and tabulating log p and log q."""
