"""File descriptors for as many clients as the settings allow."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from seve_broadcaster.websocket.descriptors import reserve
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
print(*reserve(int(sys.argv[3])), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "clients", "held", "sockets", "after"),
    [
        (500, 4096, 1000, 1000, 1128, 1256),
        (4096, 4096, 1000, 1000, 1128, 4096),
        (500, 1000, 1000, 744, 872, 1000),
        (120, 120, 1000, 60, 90, 120),
    ],
    ids=["raised", "enough", "less than promised", "very few"],
)
def test_the_soft_limit_is_raised_as_far_as_needed_and_allowed(soft, hard, clients, held, sockets, after):
    """And no further; if the system allows fewer clients, that is logged."""
    command = [sys.executable, "-c", PROGRAM, str(soft), str(hard), str(clients)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert [held, sockets, after] == [int(number) for number in told[-3:]]
