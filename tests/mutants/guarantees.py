"""One mutant for each mechanism that a promise of docs/reliability.md rests on."""

from typing import Final

from mutants.catalogue import Mutant

INGEST: Final = "services/ingest/src/seve_ingest"
WRITER: Final = "services/writer/src/seve_writer"
BROADCASTER: Final = "services/broadcaster/src/seve_broadcaster"
RUNTIME: Final = "libs/runtime/src/seve_runtime"

INGEST_TESTS: Final = "services/ingest/tests"
WRITER_TESTS: Final = "services/writer/tests"
BROADCASTER_TESTS: Final = "services/broadcaster/tests"

MUTANTS: Final = (
    Mutant(
        "PUBACK before the journal holds the message",
        f"{INGEST}/publish/deliveries.py",
        "while waiting and not waiting[0].open:",
        "while waiting:",
        (f"{INGEST_TESTS}/test_deliveries.py", f"{INGEST_TESTS}/test_pipeline.py"),
    ),
    Mutant(
        "PUBACK out of order",
        f"{INGEST}/publish/deliveries.py",
        "            delivery = waiting.popleft()",
        "            delivery = waiting.pop()",
        (f"{INGEST_TESTS}/test_deliveries.py",),
    ),
    Mutant(
        "PUBACK of an earlier connection",
        f"{INGEST}/publish/deliveries.py",
        "            if delivery.connection == connection:\n                done.append(delivery)",
        "            done.append(delivery)",
        (f"{INGEST_TESTS}/test_deliveries.py",),
    ),
    Mutant(
        "an error ack taken for an ack",
        f"{INGEST}/publisher.py",
        "        if ack.error is None:",
        "        if True:",
        (f"{INGEST_TESTS}/test_publisher.py",),
    ),
    Mutant(
        "no redelivery memory",
        f"{INGEST}/pipeline.py",
        "if known and known.held is None:",
        "if False and known:",
        (f"{INGEST_TESTS}/test_pipeline.py",),
    ),
    Mutant(
        "nothing read back after a restart",
        f"{INGEST}/pipeline.py",
        "                held = known.held if known else None",
        "                held = None",
        (f"{INGEST_TESTS}/test_pipeline.py",),
    ),
    Mutant(
        "redeliveries forgotten with the connection",
        f"{INGEST}/publish/redelivery.py",
        "                repeats.append(delivery)",
        "                pass",
        (f"{INGEST_TESTS}/test_redelivery.py",),
    ),
    Mutant(
        "an equal message taken for a redelivery after an acknowledgement in time",
        f"{INGEST}/pipeline.py",
        "            if done[0].received_at <= late:",
        "            if late := now:",
        (f"{INGEST_TESTS}/test_pipeline.py",),
    ),
    Mutant(
        "expected sequence not sent",
        f"{INGEST}/publisher.py",
        r"NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: %d\r\n",
        r"NATS/1.0\r\nSeve-Expected: %d\r\n",
        (f"{INGEST_TESTS}/test_publisher.py",),
    ),
    Mutant(
        "a message held already is sent again",
        f"{INGEST}/publisher.py",
        "            if last == publish.id or",
        "            if last is publish or",
        (f"{INGEST_TESTS}/test_publisher.py",),
    ),
    Mutant(
        "what a killed ingest sent and arrived late is published again",
        f"{INGEST}/pipeline.py",
        "        if sequence <= self._memory.end:",
        "        if sequence > 0:",
        (f"{INGEST_TESTS}/test_publisher.py",),
    ),
    Mutant(
        "a message with the key of an old one is dropped",
        f"{INGEST}/pipeline.py",
        "        if sequence <= self._memory.end:",
        "        if sequence < 0:",
        (f"{INGEST_TESTS}/test_publisher.py",),
    ),
    Mutant(
        "two publishes of a subject in flight",
        f"{INGEST}/publish/subject_queues.py",
        "if not queue.encoded and not queue.in_flight:",
        "if not queue.encoded:",
        (f"{INGEST_TESTS}/test_subject_queues.py",),
    ),
    Mutant(
        "not sent again after a lost connection",
        f"{INGEST}/publish/subject_queues.py",
        "        for publish in self._in_flight.values():\n            publish.sent_at = None",
        "        return",
        (f"{INGEST_TESTS}/test_subject_queues.py",),
    ),
    Mutant(
        "ack before COMMIT",
        f"{WRITER}/flush_loop.py",
        "            unsettled = await self._batch_writer.write(units, self._monitor.journal)\n",
        "            consumer.acknowledge([unit.message for unit in units])\n"
        "            unsettled = await self._batch_writer.write(units, self._monitor.journal)\n",
        (f"{WRITER_TESTS}/test_faults.py::test_a_connection_cut_within_copy_repeats_the_batch",),
    ),
    Mutant(
        "ack of messages of a journal that was recreated",
        f"{WRITER}/journal/consumer.py",
        "        self._acks_stopped = True",
        "        pass",
        (f"{WRITER_TESTS}/test_faults.py::test_a_journal_recreated_under_a_writer_ends_it",),
    ),
    Mutant(
        "ledger row outside the transaction",
        f"{WRITER}/database/store.py",
        'await run(connection, [*begin, sql.ledger(transaction, counts), *copy, "COMMIT"], copied)',
        'await run(connection, [*begin, *copy, "COMMIT", sql.ledger(transaction, counts)], copied)',
        (f"{WRITER_TESTS}/test_transaction.py",),
    ),
    Mutant(
        "a message booked before its last part is stored",
        f"{WRITER}/database/batch_writer.py",
        "                whole = part[half - 1].message.sequence != part[half].message.sequence",
        "                whole = True",
        (f"{WRITER_TESTS}/test_poison.py::test_a_bad_envelope_affects_no_other_of_its_message",),
    ),
    Mutant(
        "a refused row dropped without a dead letter",
        f"{WRITER}/database/batch_writer.py",
        "                    refused.add(part[0], refusal.sqlstate, refusal.error)\n",
        "",
        (f"{WRITER_TESTS}/test_poison.py::test_a_bad_envelope_affects_no_other_of_its_message",),
    ),
    Mutant(
        "a message acknowledged before its dead letter is kept",
        f"{WRITER}/flush_loop.py",
        "                consumer.release([messages.pop(sequence) for sequence in unsettled])\n",
        "",
        (f"{WRITER_TESTS}/test_poison.py::test_unconfirmed_dead_letters_hold_no_other_message_back",),
    ),
    Mutant(
        "an outage of the database taken for a fault of rows",
        f"{WRITER}/database/sqlstate.py",
        '    "57": Fault.DATABASE,',
        '    "57": Fault.ROW,',
        (f"{WRITER_TESTS}/test_sqlstate.py",),
    ),
    Mutant(
        "an older state overwrites a newer one",
        f"{WRITER}/database/sql.py",
        '" OR t.{position} < excluded.{position}"',
        '" OR t.{position} <> excluded.{position}"',
        (f"{WRITER_TESTS}/test_order.py::test_an_overtaken_report_counts_as_replaced",),
    ),
    Mutant(
        "purge above the ack floor",
        f"{WRITER}/journal/purge.py",
        "ack_floor + 1)",
        "ack_floor + 2)",
        (f"{WRITER_TESTS}/test_purge.py",),
    ),
    Mutant(
        "the journal gives a message up after some deliveries",
        f"{RUNTIME}/nats/topology.py",
        "max_deliver=-1",
        "max_deliver=5",
        ("libs/runtime/tests/test_topology.py",),
    ),
    Mutant(
        "a full journal drops the oldest",
        f"{RUNTIME}/nats/topology.py",
        "discard=DiscardPolicy.NEW",
        "discard=DiscardPolicy.OLD",
        ("libs/runtime/tests/test_topology.py",),
    ),
    Mutant(
        "a loss not named by the audit",
        f"{WRITER}/audit/reconcile.py",
        "    lost = without(_span(first, journal.last), united(accounted, waiting))",
        "    lost = ()",
        (f"{WRITER_TESTS}/test_reconcile.py",),
    ),
    Mutant(
        "a gap not told to live clients",
        f"{BROADCASTER}/fanout/hub.py",
        "            if client.pace is Pace.LIVE and client.subscriptions:\n                self.send(client, frame)",
        "            pass",
        (f"{BROADCASTER_TESTS}/test_catchup.py",),
    ),
    Mutant(
        "a gap not told to who catches up",
        f"{BROADCASTER}/fanout/catchup.py",
        "        client.pending.append(frames.gap(start, end))\n",
        "",
        (f"{BROADCASTER_TESTS}/test_catchup.py",),
    ),
    Mutant(
        "a jump in the journal's sequence unnoticed",
        f"{BROADCASTER}/feed.py",
        "            hub.gap(Position(journal, sequence - 1))",
        "            pass",
        (f"{BROADCASTER_TESTS}/test_stream.py::test_a_hole_that_a_broadcaster_meets_while_it_reads_is_a_gap",),
    ),
    Mutant(
        "the rest of a message that went is not missed",
        f"{BROADCASTER}/stream/replay_buffer.py",
        "return token.position > self.floor or",
        "return token.position >= self.floor or",
        (f"{BROADCASTER_TESTS}/test_replay_buffer.py",),
    ),
    Mutant(
        "what a slow client missed is not told",
        f"{BROADCASTER}/fanout/slow_client.py",
        "    client.pending.append(frames.skipped(start, stand, client.missed))\n",
        "",
        (f"{BROADCASTER_TESTS}/test_catchup.py",),
    ),
    Mutant(
        "an old buffer stands as the newest value",
        f"{BROADCASTER}/snapshot/snapshot.py",
        "            elif at >= old.time and (at or not head.retained):",
        "            elif not head.retained:",
        (f"{BROADCASTER_TESTS}/test_snapshot.py",),
    ),
    Mutant(
        "an old value passes for the newest",
        f"{BROADCASTER}/snapshot/snapshot.py",
        "            growth = -len(module.series.pop(key).data) - SERIES_BYTES",
        "            growth = 0",
        (f"{BROADCASTER_TESTS}/test_bounds.py",),
    ),
    Mutant(
        "a device may publish what an earlier route gives to another",
        f"{INGEST}/routing/device_topics.py",
        "        and not any(_of_another(earlier, filled, module) for earlier in table[:place])\n",
        "",
        (f"{INGEST_TESTS}/test_device_topics.py",),
    ),
    Mutant(
        "a wildcard of a device reaches the server's own subjects",
        "deploy/embedded/src/seve_embedded/servers/nats.py",
        'if any(one.startswith(("*", ">")) for one in allowed) else ()',
        "if False else ()",
        ("deploy/embedded/tests/test_device.py",),
    ),
    Mutant(
        "a device subscribes at QoS 1",
        "deploy/embedded/src/seve_embedded/servers/nats.py",
        "_only(subjects(ALL_COMMANDS), [MQTT_SUBJECTS])",
        "_only(subjects(ALL_COMMANDS), ())",
        ("tests/hostile/test_server_subjects.py",),
    ),
    Mutant(
        "a removed device stays",
        "deploy/embedded/src/seve_embedded/shared/device_command.py",
        "if module not in arguments.module}",
        "}",
        ("deploy/embedded/tests/test_device.py",),
    ),
)
