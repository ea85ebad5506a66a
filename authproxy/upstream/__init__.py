"""The way out: verified connections to the services behind, pooled, and the reading of their answers."""
