"""The fate of one message in words: route, envelopes, repairs, or the refusal. Pure."""

import msgspec

from seve_ingest.normalise.normaliser import Normaliser


def explain(normalise: Normaliser, topic: bytes, payload: bytes, *, received_at: int, retained: bool = False) -> str:
    """Lines that tell what ingest would do with `payload` on `topic`; `received_at` in microseconds."""
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
    "cleared": "an empty payload clears a retained message and says nothing else",
    "retained": "a retained sample without a time of its own may be of any age",
    "route": "a route says that this topic is to be ignored",
    "empty": "the message holds no numbers",
    "sys": "topics that begin with $ are the broker's own",
}

WORDS = {
    "empty": "blank text became null",
    "no_value": "an object without a value became null",
    "number_in_text": "a number in a string became a number",
    "not_a_number": "what is no finite number became null",
    "boolean_as_number": "a boolean, ON or OFF became 1 or 0",
    "number_as_text": "a number or boolean became text",
    "not_text": "what is no text became null",
    "text_cleaned": "NUL and lone surrogates were taken out of text",
    "rounded": "a number with a fraction became an integer",
    "out_of_column": "an integer that its column cannot hold became null",
    "not_a_boolean": "what is no boolean became null",
    "boolean_converted": "a word or number became a boolean",
    "not_an_object": "a value stood where an object belongs",
    "key_dropped": "the name of a sensor was empty or longer than 128 bytes",
    "json_repaired": "the JSON held what JSON does not allow",
    "utf8_replaced": "bytes that are no UTF-8 were replaced",
    "time_missing": "the time of receipt stands for the missing one",
    "time_unreadable": "the time of receipt stands for one that is no RFC 3339, no epoch and no seconds before now",
    "time_before_2000": "the time of receipt stands for that of a clock never set",
    "time_ahead": "the time of receipt stands for one over ten minutes ahead",
}
"""Every repair that can be noted, in words."""
