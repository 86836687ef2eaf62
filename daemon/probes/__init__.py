"""What reads a cluster to explain something, once and on demand: one file each. What is watched is in sources."""
