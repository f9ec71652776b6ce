"""Ack subjects are parsed in the forms of earlier and of later NATS servers."""

import pytest
from seve_runtime.nats.pull import AckSubject, parse_ack_subject


@pytest.mark.parametrize(
    "subject",
    [
        "$JS.ACK.TELEMETRY.writer.2.7001.9000.1764500000000000000.41",
        "$JS.ACK._.4Xd0qbGL.TELEMETRY.writer.2.7001.9000.1764500000000000000.41",
        "$JS.ACK.leaf.4Xd0qbGL.TELEMETRY.writer.2.7001.9000.1764500000000000000.41.RaNd0m",
    ],
)
def test_an_ack_subject_has_sequence_deliveries_time_and_pending(subject):
    assert parse_ack_subject(subject) == AckSubject(7001, 2, 1764500000000000000, 41)


@pytest.mark.parametrize("subject", ["", "_INBOX.a.b", "$JS.FC.TELEMETRY.writer.1.2.3.4.5", "$JS.ACK.a.b.1.2.3.4.x"])
def test_a_subject_of_another_kind_is_refused(subject):
    with pytest.raises(ValueError, match=r"not delivered by a consumer|invalid literal"):
        parse_ack_subject(subject)
