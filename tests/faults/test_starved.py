"""A starved process is refused memory, as long as that lasts."""

import subprocess
import sys
from types import SimpleNamespace

from support.faults import starved

PROGRAM = """
import sys
for line in sys.stdin:
    try:
        print(len(bytes(1 << 26)), flush=True)
    except MemoryError:
        print("refused", flush=True)
"""


def test_a_starved_process_gets_no_memory_until_it_is_over():
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def asked():
            process.stdin.write("more\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        assert asked() == str(1 << 26)
        with starved(SimpleNamespace(process=process)):
            assert asked() == "refused"
        assert asked() == str(1 << 26)
