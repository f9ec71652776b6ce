"""Turns payloads into envelopes. Pure, and never raises: a message that cannot be repaired is rejected with a
reason.
"""
