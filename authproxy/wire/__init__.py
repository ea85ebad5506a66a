"""Bytes on sockets: transports over plain and TLS connections, whose writes of one turn of the loop go out together."""
