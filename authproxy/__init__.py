"""authproxy: a TLS front door for legacy services."""
