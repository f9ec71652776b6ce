"""File descriptors: as many as the settings promise clients, or fewer clients where the system gives fewer."""

import resource

import structlog

log = structlog.get_logger()

OTHERS = 256
"""Descriptors for everything else: NATS, the admin port, files, HTTP, and connections that are still shaking hands."""


def reserve(clients: int) -> tuple[int, int]:
    """Raise the soft limit to what `clients` need, as far as the hard one allows.

    Return how many clients that holds, and how many sockets: some may shake hands or ask by HTTP beside the clients.
    The rest is never given to sockets, so that the admin port can be reached whoever connects.
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
