"""Lists the files of ours that one sample passes on its way to a row and to a frame: those with a function that runs
for it, the libraries included. Measured, not declared: every call of a running pipeline is recorded, and the files that
appear between publish and row for each of several samples are on the way. Work that happens now and then (a look at
the journal, a ping) is not.

    .venv/bin/python tests/path_of_a_sample.py
"""

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(Path(__file__).parent))

from support import clients  # noqa: E402  (its folder was added above)
from support.conditions import wait_until  # noqa: E402
from support.stack import EmbeddedStack  # noqa: E402

SAMPLES = 12
WINDOW = 0.3
"""Seconds after a publish within which its row is written and acknowledged."""

RECORDER = """
import atexit, os, sys, time
calls, folder = [], {folder!r}
def note(frame, event, _):
    name = frame.f_code.co_filename
    if event == "call" and "/src/seve_" in name and frame.f_lineno == frame.f_code.co_firstlineno:
        calls.append((time.monotonic(), name))
sys.setprofile(note)
@atexit.register
def write():
    sys.setprofile(None)
    with open(f"{{folder}}/{{os.getpid()}}.calls", "w") as file:
        file.writelines(f"{{at}} {{name}}\\n" for at, name in calls)
"""
"""A `sitecustomize` for the services: writes down each call of a function of ours. A coroutine that goes on after an
`await` is called, too, as Python counts; the line tells such calls apart.
"""


def files_per_service(folder: Path) -> dict[str, list[str]]:
    """Run the pipeline, publish samples, and return the files of each service in the order of their first calls."""
    (folder / "sitecustomize.py").write_text(RECORDER.format(folder=str(folder)))
    stack = EmbeddedStack(folder / "stack", PYTHONPATH=str(folder), FLUSH_INTERVAL="50ms", LOG_LEVEL="warning")
    stack.start()
    try:
        pids = {part: stack.pid(part) for part in ("ingest", "writer", "broadcaster")}
        times = _publish(stack)
    finally:
        stack.stop()
    return {part: _on_the_way(folder / f"{pid}.calls", times) for part, pid in pids.items()}


def _publish(stack: EmbeddedStack) -> list[float]:
    """Publish samples of a topic that ingest knows already, and return when each was published."""
    times = []
    with clients.device(stack.mqtt_url) as publish, clients.screen(stack.ws_url, "m") as watched:
        publish("m/co2", "400")
        wait_until(lambda: watched.envelopes, "the first frame")
        for number in range(SAMPLES):
            times.append(time.monotonic())
            publish("m/co2", str(number))
            time.sleep(WINDOW + 0.37)  # no multiple of any interval of a service
    return times


def _on_the_way(calls: Path, times: list[float]) -> list[str]:
    """Return the files that were called in each window, in the order of their first call in the last one."""
    windows: list[dict[str, None]] = [{} for _ in times]
    for line in calls.read_text().splitlines():
        at, name = line.split(" ", 1)
        for start, window in zip(times, windows, strict=True):
            if start <= float(at) <= start + WINDOW:
                window.setdefault(name)
    return [name for name in windows[-1] if all(name in window for window in windows)]


def main() -> None:
    """Print both ways."""
    with tempfile.TemporaryDirectory() as folder:
        files = files_per_service(Path(folder))
    for way, last in (("row", "writer"), ("frame", "broadcaster")):
        passed = list(dict.fromkeys(files["ingest"] + files[last]))
        sys.stdout.write(f"to a {way}: {len(passed)} files\n")
        for name in passed:
            lines = len(Path(name).read_text().splitlines())
            sys.stdout.write(f"  {Path(name).relative_to(ROOT)}  {lines}\n")


if __name__ == "__main__":
    main()
