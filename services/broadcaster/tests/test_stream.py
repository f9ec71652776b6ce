"""The stream from NATS, whole or with what it lacks declared: real servers that are killed, purged and made anew."""

import asyncio

import nats
import pytest
from seve_runtime.nats.topology import TopologySettings, apply
from support.broadcasting import SMALL, Journal, broadcasting, envelope, watching
from support.conditions import eventually

TINY_MEMORY = {"RECENT_MAX_BYTES": "1KiB"}


def values(frames):
    """What came as news, in order."""
    return [
        frame["data"]["value"] for frame in frames if frame["event"] == "mqtt-message" and not frame.get("snapshot")
    ]


async def resumed(url, token, modules=("a",)):
    """All that a client is sent that resumes from a token, up to `live`."""
    async with watching(url, modules=list(modules), since=token) as screen:
        return await screen.until("live")


async def test_what_was_published_while_nats_was_away_is_healed(nats_server, journal):
    """The broadcaster finds the gap by the sequence, reads HISTORY, and its clients never know."""
    async with broadcasting(nats_server.url) as url, watching(url, modules=["a"]) as screen:
        await screen.until("live")
        for round_ in range(2):
            nats_server.kill()
            nats_server.start()
            client = await nats.connect(nats_server.url)
            again = Journal(client)
            for value in range(100):
                await again.publish(envelope("a", float(round_ * 100 + value)))
            await client.close()
            assert values(await screen.until("mqtt-message", 100)) == [float(round_ * 100 + v) for v in range(100)]
    assert [frame["event"] for frame in screen.frames].count("gap") == 0


async def test_a_client_resumes_beyond_memory_from_history(nats_server, journal):
    """Every message since its token, once and in order, then live."""
    async with broadcasting(nats_server.url, **TINY_MEMORY) as url:
        async with watching(url, modules=["a"]) as screen:
            token = (await screen.until("live"))[-1]["seq"]
        for value in range(1500):
            await journal.publish(envelope("a", float(value)), envelope("a", value + 0.5))
        frames = await resumed(url, token)
        assert values(frames) == [value / 2 for value in range(3000)]
        assert "gap" not in [frame["event"] for frame in frames]


async def test_what_history_has_wrapped_is_a_gap_of_that_module_and_kind_only(nats_server):
    """Judged per subject: the busy one is a gap and its present, the quiet one is replayed."""
    client = await nats.connect(nats_server.url)
    await apply(client.jetstream(), TopologySettings(journal_max_bytes=1 << 24, history_max_msgs_per_subject=20))
    journal = Journal(client)
    async with broadcasting(nats_server.url, **TINY_MEMORY) as url:
        await journal.publish(envelope("quiet", -1.0))
        async with watching(url, modules=["*"]) as screen:
            await screen.until("live")
            await journal.publish(envelope("busy", -1.0))
            token = (await screen.until("mqtt-message"))[-1]["seq"]
        for value in range(100):
            await journal.publish(envelope("busy", float(value)))
            if value % 20 == 0:
                await journal.publish(envelope("quiet", float(value)))
        frames = await resumed(url, token, ["busy", "quiet"])
    gaps = [(frame["module"], frame["kind"]) for frame in frames if frame["event"] == "gap"]
    assert gaps == [("busy", "measurement")]
    assert values(frames) == [0.0, 20.0, 40.0, 60.0, 80.0]
    assert [frame["data"]["value"] for frame in frames if frame.get("snapshot")] == [99.0]
    await client.close()


async def test_what_was_purged_from_history_is_a_gap_and_the_present(nats_server, journal):
    """Only of what had news: a module that was quiet lost nothing."""
    async with broadcasting(nats_server.url, **TINY_MEMORY) as url:
        await journal.publish(envelope("quiet", 1.0))
        async with watching(url, modules=["*"]) as screen:
            token = (await screen.until("live"))[-1]["seq"]
        for value in range(50):
            await journal.publish(envelope("a", float(value)))
        await journal.js.purge_stream("HISTORY")
        frames = await resumed(url, token, ["a", "quiet"])
    assert [frame["module"] for frame in frames if frame["event"] == "gap"] == ["a"]
    assert (values(frames), [frame["data"]["value"] for frame in frames if frame.get("snapshot")]) == ([], [49.0])


async def test_a_journal_made_anew_is_a_gap_and_then_the_new_stream(nats_server, journal):
    """Live clients and those that resume with a token of the old one are both told."""
    async with broadcasting(nats_server.url) as url, watching(url, modules=["a"]) as screen:
        await screen.until("live")
        for value in range(5):
            await journal.publish(envelope("a", float(value)))
        token = (await screen.until("mqtt-message", 5))[-1]["seq"]
        await journal.js.delete_stream("TELEMETRY")
        await apply(journal.js, SMALL)
        await journal.publish(envelope("a", 100.0))
        frames = await screen.until("mqtt-message")
        assert ([frame["event"] for frame in frames], values(frames)) == (["gap", "mqtt-message"], [100.0])
        late = await resumed(url, token)
        assert [frame["event"] for frame in late if frame["event"] == "gap"] == ["gap"]


async def test_a_broadcaster_starts_with_the_present_of_the_one_before(nats_server, journal):
    """From LATEST, even where HISTORY is gone; and a client's token still holds where HISTORY is there."""
    async with broadcasting(nats_server.url) as url, watching(url, modules=["a"]) as screen:
        await screen.until("live")
        await journal.publish(envelope("a", 1.0), envelope("a", 2.0, sensor="t"))
        token = (await screen.until("mqtt-message", 2))[-1]["seq"]
    await journal.publish(envelope("a", 3.0))
    async with broadcasting(nats_server.url) as url:
        assert values(await resumed(url, token)) == [3.0]
    await journal.js.purge_stream("HISTORY")
    async with broadcasting(nats_server.url) as url, watching(url, modules=["a"]) as screen:
        frames = await screen.until("live")
        assert {frame["data"]["sensorType"]: frame["data"]["value"] for frame in frames[1:-1]} == {"co2": 3.0, "t": 2.0}


async def test_two_broadcasters_share_latest_and_neither_moves_it_back(nats_server, journal):
    """Both save; a third starts with the newest of either."""
    quick = {"LATEST_SAVE_INTERVAL": "50ms"}
    async with broadcasting(nats_server.url, **quick), broadcasting(nats_server.url, **quick):
        for value in range(200):
            await journal.publish(envelope("a", float(value)))
    async with broadcasting(nats_server.url) as url, watching(url, modules=["a"]) as screen:
        frames = await screen.until("live")
        assert [frame["data"]["value"] for frame in frames[1:-1]] == [199.0]


async def test_a_message_that_cannot_be_read_costs_itself(nats_server, journal):
    """It is counted, and the next arrives."""
    async with broadcasting(nats_server.url) as url, watching(url, modules=["a"]) as screen:
        await screen.until("live")
        await journal.js.publish("telemetry.a.measurement", b"no envelope")
        await journal.js.publish("telemetry.a.measurement", b'[{"topic": 1}]')
        await journal.publish(envelope("a", 1.0))
        assert values([await screen.read()]) == [1.0]


async def test_an_end_that_was_missed_is_found_by_comparing_with_the_journal(nats_server, journal, monkeypatch):
    """No later message shows the jump; the journal's last sequence does."""
    from seve_broadcaster.feed import Feed

    take, deaf = Feed._take, asyncio.Event()

    async def take_unless_deaf(self, message):
        if not deaf.is_set():
            await take(self, message)

    monkeypatch.setattr(Feed, "_take", take_unless_deaf)
    async with broadcasting(nats_server.url) as url, watching(url, modules=["a"]) as screen:
        await screen.until("live")
        deaf.set()
        await journal.publish(envelope("a", 1.0))
        assert values([await screen.read()]) == [1.0]


@pytest.mark.parametrize("save", [True, False], ids=["latest", "history"])
async def test_the_present_is_complete_after_a_start_however_it_was_come_by(nats_server, journal, save):
    """From LATEST and what came since, or, where there is no LATEST, from all that HISTORY has."""
    if save:
        async with broadcasting(nats_server.url):
            await journal.publish(envelope("a", 1.0))
    await journal.publish(envelope("a", 2.0, sensor="t"))
    await journal.publish(envelope("b", 3.0))
    async with broadcasting(nats_server.url) as url, watching(url, modules=["*"]) as screen:
        frames = await screen.until("live")
        expected = [1.0, 2.0, 3.0] if save else [2.0, 3.0]
        assert sorted(frame["data"]["value"] for frame in frames[1:-1]) == expected


async def test_it_starts_before_the_streams_are_there(nats_server):
    """Services start in any order."""
    client = await nats.connect(nats_server.url)

    async def set_up_later():
        await eventually(nats_server.ready, "NATS")
        await apply(client.jetstream(), SMALL)

    later = asyncio.create_task(set_up_later())
    async with broadcasting(nats_server.url) as url, watching(url, modules=["a"]) as screen:
        await later
        await screen.until("live")
    await client.close()


async def test_what_history_never_got_is_a_gap_where_it_belongs(nats_server, journal):
    """As when NATS dies between storing a message and copying it: what came before and after is replayed."""
    async with broadcasting(nats_server.url, **TINY_MEMORY) as url:
        async with watching(url, modules=["a"]) as screen:
            token = (await screen.until("live"))[-1]["seq"]
        for value in range(20):
            if value in (5, 8):
                await journal.js.update_stream(name="HISTORY", subjects=["live.>" if value == 8 else "nothing"])
            await journal.publish(envelope("a", float(value)))
        frames = await resumed(url, token)
    missing = [0.0, 1.0, 2.0, 3.0, 4.0, *(float(value) for value in range(8, 20))]
    assert (missing, ["gap"]) == (values(frames), [frame["event"] for frame in frames if frame["event"] == "gap"])
    assert frames[6]["event"] == "gap"


async def test_asking_for_more_in_the_midst_of_a_replay_loses_nothing_of_it(nats_server, journal):
    """The replay begins again from where it was, for both."""
    async with broadcasting(nats_server.url, **TINY_MEMORY) as url:
        async with watching(url, modules=["a"]) as screen:
            token = (await screen.until("live"))[-1]["seq"]
        for value in range(1500):
            await journal.publish(envelope("ab"[value % 2], float(value)))
        async with watching(url, modules=["a"], since=token) as screen:
            await screen.until("mqtt-message", 10)
            await screen.say(action="subscribe", modules=["b"], since=token)
            while len(values(screen.frames)) < 1500:
                await screen.read()
    assert sorted(values(screen.frames)) == [float(value) for value in range(1500)]
    for module in "ab":
        came = [frame["data"]["value"] for frame in screen.frames if frame.get("data", {}).get("moduleId") == module]
        assert came == sorted(came)
