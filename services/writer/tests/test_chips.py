"""A report of another chip under a module's name: logged once for each change, in whatever batch, and stored."""

import pytest
from prometheus_client import REGISTRY
from seve_writer.database.chips import ChipChange, changes, reported
from seve_writer.database.device_state import Patch
from support.conditions import eventually

from .conftest import envelope


def patch(module, **columns):
    return Patch("device_system_status", (module,), "config_position", (1, 1, 0), False, "", columns)


@pytest.mark.parametrize(
    ("chips", "stored", "expected"),
    [
        (["a"], {}, []),
        (["a", "a"], {}, []),
        (["a"], {"m": "a"}, []),
        (["b"], {"m": "a"}, [("a", "b")]),
        (["a", "b", "a"], {}, [("a", "b"), ("b", "a")]),
        (["b", "b"], {"m": "a", "other": "b"}, [("a", "b")]),
        ([None, ""], {"m": "a"}, []),
    ],
)
def test_changes_run_from_the_stored_chip_through_the_reported_ones(chips, stored, expected):
    """In the order of the journal. A report without a chip changes nothing."""
    names = reported([patch("m", chip_id=chip) for chip in chips])
    assert changes(names, stored) == [ChipChange("m", *change) for change in expected]


def test_a_report_that_leaves_out_its_chip_names_none():
    assert reported([patch("m", ip="10.0.0.1")]) == {}


async def test_two_chips_of_one_module_are_counted_logged_and_stored(journal, writer, query, capsys):
    """Across batches, and not for reports without a chip."""
    before = REGISTRY.get_sample_value("seve_writer_chip_changes_total")
    async with writer():
        for body in ({"chipId": "a8bbcc"}, {"ip": "10.0.0.7"}, {"chipId": "a8bbcc"}, {"chipId": "a8bbd1"}):
            await journal.publish(envelope(kind="system.config", metadata=body))
            await eventually(journal.empty, "stored")
    assert query("SELECT chip_id, ip FROM device_system_status") == [("a8bbd1", "10.0.0.7")]
    assert REGISTRY.get_sample_value("seve_writer_chip_changes_total") - before == 1
    logged = capsys.readouterr()
    text = logged.out + logged.err
    assert "another chip reports under the name of this module" in text
    assert all(word in text for word in ("croissance", "a8bbcc", "a8bbd1"))
