"""Raises the limit on file descriptors to the number that the allowed clients need, or allows fewer clients."""

import resource

import structlog

log = structlog.get_logger()

OTHERS = 256
"""Descriptors for everything else: NATS, the admin port, files, HTTP, and connections in their handshake."""


def reserve(clients: int) -> tuple[int, int]:
    """Raise the soft limit to what `clients` need, as far as the hard limit allows.

    Return the number of clients and the number of sockets that fit. Handshakes and HTTP requests need sockets beside
    the clients. Sockets never use the rest, so that the admin port stays reachable.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = clients + OTHERS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    others = OTHERS if soft == resource.RLIM_INFINITY else min(OTHERS, soft // 2)
    held = clients if soft == resource.RLIM_INFINITY else min(clients, soft - others)
    if held < clients:
        log.warning("fewer file descriptors than clients allowed", ws_max_clients=clients, clients_possible=held)
    return held, held + others // 2
