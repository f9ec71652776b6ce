"""Payload to envelope. Total and pure: a message that cannot be repaired is rejected with a reason."""
