"""What a disk does to a file of the journal, done while NATS is stopped. NATS keeps a stream in block files, of which
`index.db` has the ends.
"""

from pathlib import Path


def blocks(folder: Path) -> list[Path]:
    """The block files of the journal, oldest first; `folder` is the server's."""
    return sorted(folder.glob("jetstream/**/TELEMETRY/msgs/*.blk"), key=lambda path: int(path.stem))


def flip(folder: Path) -> None:
    """Turn one bit in the middle of a block with others before and behind it."""
    found = blocks(folder)
    middle = found[len(found) // 2]
    data = bytearray(middle.read_bytes())
    data[len(data) // 2] ^= 1
    middle.write_bytes(data)


def truncate(folder: Path) -> None:
    """Cut off the second half of the newest block."""
    newest = blocks(folder)[-1]
    with newest.open("r+b") as file:
        file.truncate(newest.stat().st_size // 2)
