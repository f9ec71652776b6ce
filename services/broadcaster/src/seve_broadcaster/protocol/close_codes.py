"""The close codes that this server sends itself (RFC 6455, 7.4.1; 1013 from IANA's registry). Pure.

docs/protocol.md explains them to clients; `websocket/server.py` decides when to send one. The library closes with 1002,
1007 and 1009 if a client violates the protocol.
"""

from typing import Final

GOING_AWAY: Final = 1001
"""The server stops; a `closing` frame before it says when to come back."""

POLICY: Final = 1008
"""Too many connections from an address, too many frames, an expired token, or a withdrawn key."""

TRY_AGAIN: Final = 1013
"""The server is full, or the client is too slow for its subscriptions."""
