"""MQTT's framing returns the same packets however the bytes are split."""

import struct
from hashlib import blake2b

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seve_ingest.mqtt.framing import DUP, MAX_PACKET, MAX_PAYLOAD, RETAIN, Arrival, Cut, Framing, Packet, ProtocolFault
from support.mqtt_load import publish_packet


def arrivals(data, sizes, *, version5=False):
    """Return the messages and other packets of `data`, received in pieces of `sizes`, then the rest at once."""
    framing, arrived, others = Framing(version5=version5), [], []
    for size in sizes:
        others += framing.receive(data[:size], arrived) if data[:size] else []
        data = data[size:]
    if data:
        others += framing.receive(data, arrived)
    return [Arrival(*arrival) for arrival in arrived], others


MESSAGES = st.tuples(
    st.text("abc/é", min_size=1, max_size=20), st.binary(max_size=300), st.integers(1, 65535) | st.none()
)


@given(st.lists(MESSAGES, max_size=20), st.lists(st.integers(1, 200), max_size=50))
@settings(deadline=None)
def test_any_pieces_give_the_same_messages(messages, sizes):
    """QoS 0 and QoS 1, short and long, with a PINGRESP and a PUBACK among them."""
    data = b"\xd0\x00".join(publish_packet(*message) for message in messages) + b"\x40\x02\x00\x07"
    expected = [
        Arrival(topic.encode(), payload, mid or 0, 0x30 if mid is None else 0x32) for topic, payload, mid in messages
    ]
    pings = [Packet(0xD0, b"")] * max(len(messages) - 1, 0)
    assert (expected, [*pings, Packet(0x40, b"\x00\x07")]) == arrivals(data, sizes)


def test_flags_are_kept():
    """DUP and RETAIN are flags in the first byte."""
    packet = publish_packet("m/co2", b"1", 7)
    [arrival], _ = arrivals(bytes([packet[0] | DUP | RETAIN]) + packet[1:], [])
    assert arrival.head & (DUP | RETAIN) == DUP | RETAIN


def test_a_message_of_qos_2_is_framed_like_the_others():
    """Framing does not handle its acknowledgement; PUBREL is returned undecoded."""
    packet = publish_packet("m/co2", b"1", 7)
    [arrival], others = arrivals(bytes([0x34]) + packet[1:] + b"\x62\x02\x00\x07", [])
    assert arrival == Arrival(b"m/co2", b"1", 7, 0x34)
    assert others == [Packet(0x62, b"\x00\x07")]


def test_properties_of_mqtt_5_are_skipped():
    """They are between the packet identifier and the payload."""
    body = struct.pack("!H", 5) + b"m/co2" + b"\x00\x07" + b"\x05\x02\x00\x00\x00\x3c" + b"450.5"
    [arrival], _ = arrivals(bytes([0x32, len(body)]) + body, [], version5=True)
    assert (arrival.topic, arrival.payload, arrival.mid) == (b"m/co2", b"450.5", 7)


@pytest.mark.parametrize("piece", [1000, 4096, 100_000, 256 * 1024])
@pytest.mark.parametrize("version5", [False, True])
def test_a_packet_too_long_is_cut_and_digested_as_it_passes(piece, version5):
    """Only its beginning is held; size and digest are those of the whole; the following packet is read as usual."""
    payload = bytes(range(256)) * 8000
    plain = publish_packet("m/big", payload, 9)
    if version5:
        body = struct.pack("!H", 5) + b"m/big" + b"\x00\x09\x00" + payload
        plain = b"\x32" + _varint(len(body)) + body
    follower = publish_packet("m/co2", b"1") if not version5 else b"\x30\x09\x00\x05m/co2\x001"
    data = plain + follower
    arrived, _ = arrivals(data, [piece] * (len(data) // piece), version5=version5)
    big, after = arrived
    assert isinstance(big.payload, Cut)
    assert (len(big.payload), big.mid, big.topic) == (MAX_PAYLOAD + 1, 9, b"m/big")
    assert (len(payload), blake2b(payload, digest_size=16).hexdigest()) == (big.payload.size, big.payload.digest)
    assert (after.topic, after.payload) == (b"m/co2", b"1")


def test_a_packet_too_long_costs_no_memory():
    """A device may announce 256 MB."""
    framing, arrived = Framing(version5=False), []
    framing.receive(b"\x30\xff\xff\xff\x7f\x00\x05m/big", arrived)
    for _ in range(200):
        framing.receive(b"x" * 65536, arrived)
    assert len(framing._long._begin) <= MAX_PACKET + 65536


@pytest.mark.parametrize(
    "data",
    [
        b"\x30\x00",
        b"\x30\x01\x00",
        b"\x30\x03\x00\x09a",
        b"\x32\x04\x00\x02ab",
        b"\x32\x06\x00\x02ab\x00\x00",
        b"\x36\x06\x00\x02ab\x00\x01",
        b"\x30\xff\xff\xff\xff\x01",
    ],
)
def test_bytes_that_are_no_mqtt_are_a_protocol_fault(data):
    """The connection cannot be used any further."""
    with pytest.raises(ProtocolFault):
        arrivals(data, [])


@pytest.mark.parametrize("properties", [b"\x80", b"\x80\x80", b"\x05\x02"])
def test_properties_longer_than_their_packet_are_a_protocol_fault(properties):
    """Whatever follows in the same read."""
    packet = bytes([0x30, 3 + len(properties)]) + b"\x00\x01a" + properties
    for follower in (b"", b"\xd0\x00" * 10):
        with pytest.raises(ProtocolFault):
            arrivals(packet + follower, [], version5=True)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_packets_or_a_fault(data, version5):
    """No other error is raised."""
    try:
        arrived, others = arrivals(data, [], version5=version5)
    except ProtocolFault:
        return
    assert 2 * len(arrived + others) <= len(data)


def _varint(value):
    out = bytearray()
    while True:
        value, byte = divmod(value, 128)
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)
