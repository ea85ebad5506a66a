"""What all listeners share: the accept loop, the choice of TLS context, what is known of the peer, the caps."""
