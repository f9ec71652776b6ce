"""Wire structs, subjects and codec: what crosses every boundary of Sève.

Imports msgspec and the standard library only. Does no I/O, keeps no state and knows no service.
"""
