"""A certificate authority of the stack's own, for development and for networks without another one."""
