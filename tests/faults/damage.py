"""What a disk does to a file of the journal, done while NATS is stopped. NATS keeps a stream in block files, of which
`index.db` has the ends.
"""

from pathlib import Path


def blocks(folder: Path) -> list[Path]:
    """The block files of the journal, oldest first; `folder` is the server's."""
    return sorted(folder.glob("jetstream/**/TELEMETRY/msgs/*.blk"), key=lambda path: int(path.stem))


def flip(folder: Path) -> None:
    """Turn one bit of a message's content, in the last quarter of the newest block, which no writer had yet."""
    newest = blocks(folder)[-1]
    data = bytearray(newest.read_bytes())
    data[data.index(b'"value"', len(data) * 3 // 4) + 2] ^= 1
    newest.write_bytes(data)


def truncate(folder: Path) -> None:
    """Cut off the second half of the newest block."""
    newest = blocks(folder)[-1]
    with newest.open("r+b") as file:
        file.truncate(newest.stat().st_size // 2)
