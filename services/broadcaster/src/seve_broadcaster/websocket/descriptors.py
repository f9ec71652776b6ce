"""Every client is a file descriptor: have as many as the settings promise, or say that the system gives fewer."""

import resource

import structlog

log = structlog.get_logger()

OTHERS = 256
"""Descriptors for all else: NATS, admin, files, and connections that have not shaken hands yet."""


def reserve(clients: int) -> int:
    """Raise the soft limit to what `clients` need, as far as the hard one allows; gives how many clients that holds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = clients + OTHERS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    held = clients if soft == resource.RLIM_INFINITY else min(clients, soft - OTHERS)
    if held < clients:
        log.warning("fewer file descriptors than clients allowed", ws_max_clients=clients, clients_possible=held)
    return held
