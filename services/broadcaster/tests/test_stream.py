"""The stream from NATS is complete, or its gaps are declared: with real servers that are killed, purged and
recreated.
"""

import asyncio
import contextlib
import shutil

import nats
import pytest
from seve_broadcaster.feed import JournalSetBackError
from seve_runtime.nats.topology import apply
from seve_schema.position import Position, Token, end_of
from seve_schema.subjects import forget_subject, latest_subject
from seve_schema.times import to_micros
from support.broadcasting import SMALL, Journal, broadcasting, envelope, watching
from support.conditions import eventually

TINY_MEMORY = {"RECENT_MAX_BYTES": "1KiB"}


def values(frames):
    """Return the values that came as news, in order."""
    return [
        frame["data"]["value"] for frame in frames if frame["event"] == "mqtt-message" and not frame.get("snapshot")
    ]


async def resumed(url, token, modules=("a",)):
    """Return all frames to a client that resumes from a token, up to `live`."""
    async with watching(url, modules=list(modules), since=token) as screen:
        return await screen.until("live")


async def test_messages_published_during_a_disconnect_are_healed(nats_server, journal):
    """The broadcaster reads on from its last message, and its clients notice nothing."""
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


async def test_a_client_resumes_beyond_memory_from_the_journal(nats_server, journal):
    """Every message since its token, once and in order, then live."""
    async with broadcasting(nats_server.url, **TINY_MEMORY) as url:
        async with watching(url, modules=["a"]) as screen:
            token = (await screen.until("live"))[-1]["seq"]
        for value in range(1500):
            await journal.publish(envelope("a", float(value)), envelope("a", value + 0.5))
        frames = await resumed(url, token)
        assert values(frames) == [value / 2 for value in range(3000)]
        assert "gap" not in [frame["event"] for frame in frames]


async def test_a_module_is_forgotten_on_request(nats_server, journal):
    """It leaves the snapshots, and no document of it is saved again."""
    async with broadcasting(nats_server.url, LATEST_SAVE_INTERVAL="50ms") as url:
        await journal.publish(envelope("serre nord", 1.0), envelope("a", 2.0))

        async def saved():
            state = (await journal.js.stream_info("LATEST", subjects_filter=">")).state
            return latest_subject("serre nord") in (state.subjects or {})

        await eventually(saved, "its document saved")
        await journal.client.publish(forget_subject("serre nord"))
        await journal.client.flush()

        async def only_the_other():
            async with watching(url, modules=["*"]) as screen:
                frames = await screen.until("live")
            return [frame["data"]["moduleId"] for frame in frames if frame["event"] == "mqtt-message"] == ["a"]

        await eventually(only_the_other, "only the other in a snapshot")
        await journal.js.purge_stream("LATEST", subject=latest_subject("serre nord"))
        await journal.publish(envelope("a", 3.0))

        async def saved_again():
            return b'"value":3.0' in (await journal.js.get_last_msg("LATEST", latest_subject("a"))).data

        await eventually(saved_again, "the other saved once more")
        assert not await saved()


async def purge_up_to(journal, sequence):
    """Purge the journal's oldest messages, as a writer does."""
    await journal.js.purge_stream("TELEMETRY", seq=sequence + 1)


async def test_purged_messages_are_one_gap_and_their_newest_values(nats_server, journal):
    """Purged values that changed again come as messages, the others as a snapshot; the rest is replayed."""
    async with broadcasting(nats_server.url, **TINY_MEMORY) as url:
        async with watching(url, modules=["*"]) as screen:
            token = (await screen.until("live"))[-1]["seq"]
        await journal.publish(envelope("quiet", -1.0), envelope("busy", -2.0))
        last = await journal.publish(envelope("busy", -3.0))
        for value in range(50):
            await journal.publish(envelope("busy", float(value)))
        await purge_up_to(journal, last)
        frames = await resumed(url, token, ["busy", "quiet"])
    assert [frame["event"] for frame in frames[:3]] == ["subscribed", "gap", "mqtt-message"]
    assert frames[1]["from"] == token
    assert [frame["data"]["value"] for frame in frames if frame.get("snapshot")] == [-1.0]
    assert values(frames) == [float(value) for value in range(50)]


async def test_a_journal_that_was_purged_to_its_end_is_a_gap_up_to_memory(nats_server, journal):
    """The client gets the newest values of the purged part, and then the messages in memory."""
    async with broadcasting(nats_server.url, **TINY_MEMORY) as url:
        async with watching(url, modules=["*"]) as screen:
            token = (await screen.until("live"))[-1]["seq"]
        for value in range(50):
            last = await journal.publish(envelope("a", float(value)), envelope("b", float(value)))
        await eventually(lambda: url.broadcaster.metric("received_messages_total") == 50, "all of it")
        await purge_up_to(journal, last)
        frames = await resumed(url, token)
    assert [frame["event"] for frame in frames].count("gap") == 1
    assert values(frames)[-1] == 49.0
    assert len(values(frames)) < 5


async def test_a_recreated_journal_is_a_gap_and_then_the_new_stream(nats_server, journal):
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


async def test_a_journal_that_was_set_back_is_read_by_a_new_broadcaster(nats_server, journal, tmp_path):
    """Other messages get its sequences: a client that had the old ones gets a gap, and then the new ones."""
    store, old = nats_server.folder / "jetstream", tmp_path / "old"
    nats_server.stop()
    shutil.copytree(store, old)
    nats_server.start()
    with pytest.raises(ExceptionGroup) as failed:
        await set_back(nats_server, store, old, tokens := [])
    assert failed.group_contains(JournalSetBackError)
    async with broadcasting(nats_server.url) as url:
        frames = await resumed(url, tokens[-1])
    [gap] = [frame for frame in frames if frame["event"] == "gap"]
    [new] = [frame for frame in frames if frame["event"] == "mqtt-message"]
    assert new["data"]["value"] == 4.0
    assert Token.parse(gap["from"]) < Token.parse(new["seq"]) <= Token.parse(gap["to"])


async def set_back(server, store, old, tokens):
    """Run a broadcaster until it ends because the journal is the `old` one again; `tokens` are a client's."""
    async with broadcasting(server.url) as url, watching(url, modules=["a"]) as screen:
        await screen.until("live")
        await publish_anew(server, 1.0, 2.0, 3.0)
        tokens += [frame["seq"] for frame in await screen.until("mqtt-message", 3)]
        server.kill()
        shutil.rmtree(store)
        shutil.copytree(old, store)
        server.start()
        await publish_anew(server, 4.0)
        await eventually(lambda: not url.broadcaster.is_alive(), "the broadcaster at its end")


async def publish_anew(server, *values):
    """Publish on a new connection: that of the fixture may not be back yet."""
    async with await nats.connect(server.url) as client:
        for value in values:
            await Journal(client).publish(envelope("a", value))


async def test_a_broadcaster_starts_with_the_saved_values(nats_server, journal):
    """From LATEST, even if the journal was purged. If it was not, a client's token is still valid."""
    async with broadcasting(nats_server.url) as url, watching(url, modules=["a"]) as screen:
        await screen.until("live")
        await journal.publish(envelope("a", 1.0), envelope("a", 2.0, sensor="t"))
        token = (await screen.until("mqtt-message", 2))[-1]["seq"]
    await journal.publish(envelope("a", 3.0))
    async with broadcasting(nats_server.url) as url:
        assert values(await resumed(url, token)) == [3.0]
    await journal.js.purge_stream("TELEMETRY")
    async with broadcasting(nats_server.url) as url, watching(url, modules=["a"]) as screen:
        frames = await screen.until("live")
        assert {frame["data"]["sensorType"]: frame["data"]["value"] for frame in frames[1:-1]} == {"co2": 3.0, "t": 2.0}


async def test_two_broadcasters_share_latest_and_neither_moves_it_back(nats_server, journal):
    """Both save; a third one starts with the newest values of both."""
    quick = {"LATEST_SAVE_INTERVAL": "50ms"}
    async with broadcasting(nats_server.url, **quick), broadcasting(nats_server.url, **quick):
        for value in range(200):
            await journal.publish(envelope("a", float(value)))
    async with broadcasting(nats_server.url) as url, watching(url, modules=["a"]) as screen:
        frames = await screen.until("live")
        assert [frame["data"]["value"] for frame in frames[1:-1]] == [199.0]


async def test_an_unreadable_message_is_counted_and_the_next_arrives(nats_server, journal):
    """It is counted, and the next arrives."""
    async with broadcasting(nats_server.url) as url, watching(url, modules=["a"]) as screen:
        await screen.until("live")
        await journal.publish_raw(b"no envelope")
        await journal.publish_raw(b'[{"topic": 1}]')
        await journal.publish(envelope("a", 1.0))
        assert values([await screen.read()]) == [1.0]


async def test_a_consumer_that_was_deleted_is_replaced_and_nothing_is_missed(nats_server, journal):
    """As after the loss of the NATS server that led it."""
    async with broadcasting(nats_server.url) as url, watching(url, modules=["a"]) as screen:
        await screen.until("live")
        for value in range(5):
            for consumer in await journal.js.consumers_info("TELEMETRY"):
                if consumer.name != "writer":
                    await journal.js.delete_consumer("TELEMETRY", consumer.name)
            await journal.publish(envelope("a", float(value)))
            assert values([await screen.read()]) == [float(value)]
    assert [frame["event"] for frame in screen.frames].count("gap") == 0


async def test_a_message_deleted_from_the_midst_of_the_journal_is_a_gap_where_it_was(nats_server, journal):
    """A resuming client gets a gap there, and every message around it."""
    async with broadcasting(nats_server.url, **TINY_MEMORY) as url:
        async with watching(url, modules=["a"]) as screen:
            token = (await screen.until("live"))[-1]["seq"]
        for value in range(20):
            sequence = await journal.publish(envelope("a", float(value)))
            if value == 5:
                await journal.js.delete_msg("TELEMETRY", sequence)
        frames = await resumed(url, token)
    assert values(frames) == [float(value) for value in range(20) if value != 5]
    assert frames[6]["event"] == "gap"
    assert [frame["event"] for frame in frames].count("gap") == 1


async def test_a_hole_that_a_broadcaster_meets_while_it_reads_is_a_gap(nats_server, journal):
    """The broadcaster never had the message: a client that resumes from before it gets a gap."""
    sequences = [await journal.publish(envelope("a", float(value))) for value in range(10)]
    await journal.js.delete_msg("TELEMETRY", sequences[5])
    created = to_micros((await journal.js.stream_info("TELEMETRY")).created)
    async with broadcasting(nats_server.url) as url:
        frames = await resumed(url, str(end_of(Position(created, sequences[0]))))
    assert values(frames) == [1.0, 2.0, 3.0, 4.0, 6.0, 7.0, 8.0, 9.0]
    [gap] = [frame for frame in frames if frame["event"] == "gap"]
    assert gap["to"] == str(end_of(Position(created, sequences[5])))


async def test_clients_that_resume_together_share_the_reading_of_the_journal(nats_server, journal):
    """Each gets exactly its part, and the journal is read about once."""
    async with broadcasting(nats_server.url, **TINY_MEMORY) as url, contextlib.AsyncExitStack() as screens:
        async with watching(url, modules=["*"]) as screen:
            token = (await screen.until("live"))[-1]["seq"]
        for value in range(500):
            await journal.publish(envelope("a", float(value)), envelope("b", float(value)))
        opened = [await screens.enter_async_context(watching(url)) for _ in range(20)]
        for number, screen in enumerate(opened):
            await screen.say(action="subscribe", modules=["ab"[number % 2]], since=token)
        for screen in opened:
            assert values(await screen.until("live")) == [float(value) for value in range(500)]
        assert url.broadcaster.metric("replayed_messages_total") < 5 * 500


@pytest.mark.parametrize("save", [True, False], ids=["latest", "journal"])
async def test_the_snapshot_is_complete_after_a_start(nats_server, journal, save):
    """From LATEST and the messages since, or, without LATEST, from the whole journal."""
    if save:
        async with broadcasting(nats_server.url):
            await journal.publish(envelope("a", 1.0))
    await journal.publish(envelope("a", 2.0, sensor="t"))
    await journal.publish(envelope("b", 3.0))
    async with broadcasting(nats_server.url) as url, watching(url, modules=["*"]) as screen:
        frames = await screen.until("live")
        expected = [1.0, 2.0, 3.0] if save else [2.0, 3.0]
        assert sorted(frame["data"]["value"] for frame in frames[1:-1]) == expected


async def test_the_broadcaster_may_start_before_the_streams_exist(nats_server):
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


async def test_a_second_subscription_during_a_replay_loses_nothing(nats_server, journal):
    """The replay starts again from its position, for both subscriptions."""
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
