"""A disk of the crash matrix fails at every call when that is asked for, keeps what was written, and works again."""

from types import SimpleNamespace

import pytest
from faults import disks


def test_a_failing_disk_refuses_reads_and_writes_until_it_is_mounted_again(tmp_path):
    if why := disks.obstacle():
        pytest.skip(f"no disk that can fail: {why}")
    parts = {name: SimpleNamespace(folder=tmp_path / name) for name in disks.SERVERS}
    for part in parts.values():
        part.folder.mkdir()
    stack = SimpleNamespace(folder=tmp_path, part=parts.__getitem__)
    file = tmp_path / "nats" / "file"
    with disks.failing(stack):
        file.write_text("before")
        disks.fail(tmp_path / "nats")
        for act in (file.read_text, lambda: file.write_text("after")):
            with pytest.raises(OSError, match="Input/output error"):
                act()
        (tmp_path / "postgres" / "file").write_text("another disk")
        disks.mend(stack, "nats")
        assert file.read_text() == "before"
    assert not file.exists()
