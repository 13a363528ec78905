"""Our books against the rails': every line of a rail's day has its operation, and the reverse."""
