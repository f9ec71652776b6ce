"""The command `seve-ingest deadletter`: list, show, retry and drop dead letters of ingest and of the writer.

A retried dead letter is deleted only after JetStream holds the messages published for it.
"""

import argparse
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import get_args

from nats.js import JetStreamContext
from seve_runtime.nats.connection import NatsSettings, connected_once
from seve_runtime.nats.direct import DirectClient
from seve_runtime.nats.stream_reader import reading
from seve_runtime.nats.topology import DEADLETTER
from seve_schema.deadletter import IngestReason, decode_deadletter

from seve_ingest.deadletters.records import Filters, StoredDeadLetter, Unretriable, line, messages, whole
from seve_ingest.normalise.normaliser import Normaliser

Say = Callable[[str], None]


def arguments(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `deadletter list|show|retry|drop` to a parser."""
    parser = commands.add_parser("deadletter", help="list, show, retry or drop dead letters, also the writer's")
    actions = parser.add_subparsers(dest="action", required=True)
    for action, summary in (
        ("list", "one line each"),
        ("show", "each with its whole content"),
        ("retry", "normalise and publish again; delete those that JetStream then holds"),
        ("drop", "delete"),
    ):
        sub = actions.add_parser(action, help=summary)
        sub.add_argument("sequence", nargs="*", type=int, help="sequences, as `list` shows them")
        sub.add_argument("--service", choices=("ingest", "writer"))
        sub.add_argument("--reason", help=f"{', '.join(get_args(IngestReason))}, or a SQLSTATE")
        sub.add_argument("--topic", help="a pattern such as 'croissance/*'")
        sub.add_argument("--since", type=_moment, help="received at or after, such as 2025-11-30T19:00:00Z")
        sub.add_argument("--until", type=_moment, help="received before")
        sub.add_argument("--limit", type=int, default=1000, help="at most this many [1000]")
        if action in ("retry", "drop"):
            sub.add_argument("--all", action="store_true", help="act on all, without a sequence or a filter")
            sub.add_argument("--dry-run", action="store_true", help="only print what would be done")


async def run(options: argparse.Namespace, settings: NatsSettings, normalise: Normaliser, say: Say) -> int:
    """Do what the options ask and print it line by line. Returns the exit code: 1 if a dead letter was not retried."""
    filters = Filters(
        frozenset(options.sequence), options.service, options.reason, options.topic, options.since, options.until
    )
    if options.action in ("retry", "drop") and filters == Filters() and not options.all:
        say("name sequences or filters, or use --all")
        return 2
    async with connected_once(settings, "seve-ingest deadletter") as client:
        return await _act(client, options, filters, normalise, say)


async def _act(
    client: DirectClient, options: argparse.Namespace, filters: Filters, normalise: Normaliser, say: Say
) -> int:
    js = client.jetstream()
    failed = done = 0
    async for dead_letter in _dead_letters(client, filters, options.limit):
        done += 1
        match options.action:
            case "list":
                say(line(dead_letter))
            case "show":
                say(whole(dead_letter))
            case "drop":
                if not options.dry_run:
                    await js.delete_msg(DEADLETTER, dead_letter.sequence)
                say(f"{'would drop' if options.dry_run else 'dropped'} {line(dead_letter)}")
            case _:
                failed += not await _retry(js, dead_letter, normalise, say, dry_run=options.dry_run)
    say(f"{done} dead letters" + (f", {failed} not retried" if failed else ""))
    return 1 if failed else 0


async def _retry(
    js: JetStreamContext, dead_letter: StoredDeadLetter, normalise: Normaliser, say: Say, *, dry_run: bool
) -> bool:
    try:
        publishes = messages(dead_letter, normalise)
    except Unretriable as error:
        say(f"kept {line(dead_letter)}: {error}")
        return False
    if not dry_run:
        for index, (subject, data) in enumerate(publishes):
            await js.publish(
                subject, data, headers={"Nats-Msg-Id": f"retry-{dead_letter.sequence}-{index}"}, timeout=10
            )
        await js.delete_msg(DEADLETTER, dead_letter.sequence)
    subjects = ", ".join(subject for subject, _ in publishes) or "nothing: it would be ignored now"
    say(f"{'would retry' if dry_run else 'retried'} {line(dead_letter)} -> {subjects}")
    return True


async def _dead_letters(client: DirectClient, filters: Filters, limit: int) -> AsyncIterator[StoredDeadLetter]:
    """Yield the dead letters that the filters accept, oldest first, up to the last one in the stream at the call."""
    last = (await client.jetstream().stream_info(DEADLETTER)).state.last_seq
    subject = f"deadletter.{filters.service or '*'}.{filters.reason or '*'}"
    async with reading(client, DEADLETTER, subjects=[subject]) as stored:
        while limit > 0 and (chunk := await stored.chunk()):
            for message in chunk:
                if message.sequence > last or limit <= 0:
                    return
                reason = message.subject.rpartition(".")[2]
                dead_letter = StoredDeadLetter(message.sequence, reason, decode_deadletter(message.data))
                if filters.accept(dead_letter):
                    limit -= 1
                    yield dead_letter


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("a time needs its offset, such as Z")
    return moment
