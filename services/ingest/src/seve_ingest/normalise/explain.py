"""Describes what becomes of one message: route, envelopes, repairs, or the refusal. Pure."""

import msgspec

from seve_ingest.normalise.normaliser import Normaliser


def explain(normalise: Normaliser, topic: bytes, payload: bytes, *, received_at: int, retained: bool = False) -> str:
    """Return lines that say what ingest would do with `payload` on `topic`. `received_at` is in microseconds since
    1970.
    """
    match = normalise.place(topic).match
    verdict = normalise(topic, payload, received_at=received_at, retained=retained)
    lines = [f"route      {match.origin}: {match.route.topic} -> {match.route.kind}" if match else "route      none"]
    lines += ["envelope   " + msgspec.json.encode(envelope).decode() for envelope in verdict.envelopes]
    lines += [f"repaired   {repair}: {WORDS[repair]}" for repair in verdict.repairs]
    if verdict.rejection:
        lines.append(
            f"{'and kept' if verdict.encoded else 'rejected'}   {verdict.rejection.reason}: {verdict.rejection.error}"
        )
    if verdict.ignored:
        lines.append(f"ignored    {verdict.ignored}: {IGNORED[verdict.ignored]}")
    return "\n".join(lines)


IGNORED = {
    "cleared": "an empty payload only clears a retained message",
    "retained": "a retained sample without a time of its own may be of any age",
    "route": "no route matches this topic, or one says to ignore it",
    "empty": "the message holds no numbers",
    "sys": "topics that begin with $ are the broker's own",
}

WORDS = {
    "empty": "blank text became null",
    "no_value": "an object without a value became null",
    "number_in_text": "a number in a string became a number",
    "not_a_number": "a value that is no finite number became null",
    "boolean_as_number": "a boolean, ON or OFF became 1 or 0",
    "number_as_text": "a number or boolean became text",
    "not_text": "a value that is no text became null",
    "text_cleaned": "NUL was removed from text, or a lone surrogate replaced",
    "rounded": "a number with a fraction became an integer",
    "out_of_column": "an integer that its column cannot hold became null",
    "not_a_boolean": "a value that is no boolean became null",
    "boolean_converted": "a word or number became a boolean",
    "not_an_object": "a value was found where an object was expected",
    "key_dropped": "the name of a sensor was empty or longer than 128 bytes",
    "json_repaired": "the JSON had something that JSON does not allow",
    "utf8_replaced": "bytes that are no UTF-8 were replaced",
    "time_missing": "there is no time: the time of receipt is used",
    "time_unreadable": "the time is no RFC 3339, no epoch and no seconds before now: the time of receipt is used",
    "time_before_2000": "the time is from a clock that was never set: the time of receipt is used",
    "time_ahead": "the time is more than ten minutes ahead: the time of receipt is used",
}
"""A description of every repair in coerce.REPAIRS."""
