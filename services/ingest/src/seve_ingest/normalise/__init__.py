"""Payload to envelope: total and pure; what cannot be repaired is rejected with a reason."""
