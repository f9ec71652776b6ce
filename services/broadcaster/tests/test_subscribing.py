"""A snapshot on subscribing, then every message after it: with a real NATS server and a real connection."""

import urllib.request

from support.broadcasting import envelope, watching


def values(frames):
    return [frame["data"]["value"] for frame in frames if frame["event"] == "mqtt-message"]


def events(frames):
    return [frame["event"] for frame in frames]


async def test_subscribing_sends_the_snapshot_then_live_messages(ws_url, journal):
    """`subscribed`, the snapshot, `live`, and from then on every message."""
    async with watching(ws_url, modules=["croissance"]) as first:
        await first.until("live")
        await journal.publish(
            envelope("croissance", 1.0), envelope("croissance", 2.0), envelope("croissance", 20.0, sensor="t")
        )
        await first.until("mqtt-message", 3)
        async with watching(ws_url, modules=["croissance"]) as second:
            frames = await second.until("live")
            assert events(frames) == ["subscribed", "mqtt-message", "mqtt-message", "live"]
            assert values(frames) == [2.0, 20.0]
            assert all(frame["snapshot"] for frame in frames[1:3])
            await journal.publish(envelope("croissance", 3.0))
            live = await second.read()
            assert (live["data"]["value"], "snapshot" in live) == (3.0, False)


async def test_a_client_may_subscribe_in_its_url(ws_url, journal):
    """`/ws?module=croissance`: enough for a one-line client."""
    async with watching(ws_url + "?module=croissance&module=serre-2&batch=1") as screen:
        frames = await screen.until("live")
        assert frames[0]["modules"] == ["croissance", "serre-2"]
        await journal.publish(envelope("serre-2", 1.0), envelope("serre-2", 2.0))
        batch = await screen.read()
        assert (batch["event"], [one["value"] for one in batch["data"]]) == ("mqtt-batch", [1.0, 2.0])


async def test_only_modules_and_sensors_asked_for_are_sent(ws_url, journal):
    """`sensors` filters measurements only; a module not named is not sent."""
    async with watching(ws_url, modules=["a"], sensors=["co2"]) as screen:
        await screen.until("live")
        await journal.publish(envelope("b", 0.0))
        await journal.publish(envelope("a", 1.0, sensor="t"), envelope("a", 2.0))
        await journal.publish(envelope("a", {"status": "online"}, kind="presence"))
        assert values([await screen.read()]) == [2.0]
        assert (await screen.read())["data"]["metadata"] == {"status": "online"}


async def test_the_page_and_its_files_are_served_and_nothing_else(ws_url, journal):
    """`/` from static, `/api/modules` from memory, 404 for the rest, and a policy that allows no foreign script."""
    base = ws_url.replace("ws://", "http://").removesuffix("/ws")
    async with watching(ws_url, modules=["*"]) as screen:
        await screen.until("live")
        await journal.publish(envelope("a", {"status": "online"}, kind="presence"))
        await screen.read()

    def get(path):
        try:
            with urllib.request.urlopen(base + path, timeout=5) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    import asyncio

    status, headers, body = await asyncio.to_thread(get, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    status, _, body = await asyncio.to_thread(get, "/api/modules")
    assert (status, b'"presence":"online"' in body) == (200, True)
    assert [
        (await asyncio.to_thread(get, path))[0] for path in ("/../settings.py", "/static/index.html", "/%2e%2e/app.py")
    ] == [404, 404, 404]
