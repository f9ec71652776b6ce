"""Messages that were purged while no broadcaster was running."""

from support.broadcasting import broadcasting, envelope, watching


async def test_messages_purged_while_the_broadcaster_was_down_are_a_gap(nats_server, journal):
    """The journal was purged before the broadcaster came back: the client is told of the whole range."""
    async with broadcasting(nats_server.url) as url, watching(url, modules=["*"]) as screen:
        await screen.until("live")
        await journal.publish(envelope("a", 1.0))
        token = (await screen.until("mqtt-message"))[-1]["seq"]
    await journal.publish(envelope("b", 2.0))
    await journal.js.purge_stream("TELEMETRY")
    async with broadcasting(nats_server.url) as url, watching(url, modules=["*"], since=token) as screen:
        frames = await screen.until("live")
    gaps = [frame for frame in frames if frame["event"] == "gap"]
    assert [gap["from"] for gap in gaps] == [token]
    assert gaps[0]["to"] == frames[-1]["seq"]
