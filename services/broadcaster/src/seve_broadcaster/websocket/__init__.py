"""Sockets: server, connections, HTTP pages, and the limits on all of them."""
