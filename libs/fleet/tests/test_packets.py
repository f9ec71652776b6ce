"""The MQTT 3.1.1 packets of a load, byte by byte."""

import pytest
from seve_fleet.load.packets import BrokerAnswers, ProtocolError, connect, publish


def test_connect_asks_for_a_clean_session():
    assert bytes.fromhex("100d 0004 4d515454 04 02 0000 0001 61") == connect("a")


def test_connect_carries_credentials():
    assert bytes.fromhex("1013 0004 4d515454 04 c2 0000 0001 61 0001 75 0001 70") == connect(
        "a", username="u", password="p"
    )


def test_publish_at_qos_1_has_a_packet_identifier():
    assert bytes.fromhex("3207 0001 74 0102 3432") == publish(b"t", b"42", 0x0102)


def test_a_repeated_publish_has_the_dup_flag():
    assert publish(b"t", b"42", 1, retain=True, dup=True)[0] == 0x3B


def test_publish_at_qos_0_has_no_packet_identifier():
    assert bytes.fromhex("3005 0001 74 3432") == publish(b"t", b"42", 0)


def test_a_long_packet_has_its_length_in_several_bytes():
    assert bytes.fromhex("32 cd02") == publish(b"t", bytes(328), 1)[:3]


def test_answers_are_read_however_they_are_cut():
    """Acknowledgements arrive in the order of the broker, split anywhere."""
    answers, stream = BrokerAnswers(), bytes.fromhex("20020000 40020001 40020203")
    acknowledged = [number for at in range(len(stream)) for number in answers.feed(stream[at : at + 1])]
    assert (answers.refused, acknowledged) == (0, [1, 0x0203])


def test_a_refusal_has_its_code():
    answers = BrokerAnswers()
    answers.feed(bytes.fromhex("20020005"))
    assert answers.refused == 5


def test_an_unexpected_packet_is_an_error():
    with pytest.raises(ProtocolError) as caught:
        BrokerAnswers().feed(bytes.fromhex("30020000"))
    assert caught.value.packet == 0x30
