"""Servers of the suite's own fixtures, held until the run is interrupted. test_guard.py names this file to a run of its
own; no other run collects it.
"""

import os
import signal
from pathlib import Path


def test_servers_are_held(nats_server, postgres_server):
    Path(os.environ["HELD"]).touch()
    signal.pause()
