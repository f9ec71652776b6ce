"""Subscribers and what each is owed. Pure: no socket."""
