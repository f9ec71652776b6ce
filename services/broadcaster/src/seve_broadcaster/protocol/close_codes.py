"""The close codes that this server sends by itself (RFC 6455, 7.4.1; 1013 from IANA's registry). Pure.

What each means to a client stands in docs/protocol.md; `websocket/server.py` decides when one is due, and the library
closes with 1002, 1007 and 1009 where a client breaks the protocol.
"""

from typing import Final

GOING_AWAY: Final = 1001
"""The server stops; a `closing` frame before it says when to come back."""

POLICY: Final = 1008
"""Too many connections of an address, too many frames, an expired token or a withdrawn key."""

TRY_AGAIN: Final = 1013
"""The server is full, or the client too slow for what it asked."""
