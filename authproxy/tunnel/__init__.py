"""Raw TCP over TLS: connections whose bytes are carried both ways, and never read."""
