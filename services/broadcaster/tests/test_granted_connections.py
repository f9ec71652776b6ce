"""A connection needs a valid token, sees only the token's modules, and ends with it."""

import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.broadcasting import broadcasting, envelope, watching
from support.conditions import eventually
from websockets.exceptions import ConnectionClosed, InvalidStatus

from .tokens import ED, SECRET, token


def jwks(**by_kid):
    public = {kid: json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key())) for kid, key in by_kid.items()}
    return json.dumps({"keys": [{**key, "kid": kid, "alg": "EdDSA"} for kid, key in public.items()]})


async def test_a_connection_needs_a_valid_token(nats_server, journal):
    """Refused before the handshake completes; `/api/modules` likewise."""
    async with broadcasting(nats_server.url, JWT_SECRET=SECRET) as url:
        for headers in [None, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Bearer {token(seconds=-60)}"}]:
            with pytest.raises(InvalidStatus) as refusal:
                async with watching(url, headers=headers):
                    pass
            assert refusal.value.response.status_code == 401


async def test_a_browser_offers_its_token_as_a_subprotocol(nats_server, journal):
    """The server selects `seve` and never repeats the token."""
    offered = ["seve", f"bearer.{token(['a'])}"]
    async with (
        broadcasting(nats_server.url, JWT_SECRET=SECRET) as url,
        watching(url, modules=["a"], subprotocols=offered) as screen,
    ):
        assert screen.connection.subprotocol == "seve"
        await screen.until("live")


async def test_an_open_connection_ends_when_its_token_does(nats_server, journal):
    """1008, to the second: the token is checked not only at the handshake."""
    async with broadcasting(nats_server.url, JWT_SECRET=SECRET) as url:
        ending = token("*", seconds=-4)  # still valid for a second, because of the leeway
        async with watching(url, modules=["a"], headers={"Authorization": f"Bearer {ending}"}) as screen:
            await screen.until("live")
            with pytest.raises(ConnectionClosed):
                await screen.read()
            assert screen.connection.close_code == 1008


async def test_a_connection_ends_when_its_key_is_withdrawn(nats_server, journal, tmp_path):
    """1008; a connection by another key of the set stays. Another key under the same id does not count as the same."""
    path, other = tmp_path / "jwks.json", ed25519.Ed25519PrivateKey.generate()
    path.write_text(jwks(k1=ED, k2=other))
    async with broadcasting(nats_server.url, JWT_JWKS_FILE=str(path)) as url:
        shown = {kid: token("*", key, "EdDSA", headers={"kid": kid}) for kid, key in (("k1", ED), ("k2", other))}
        async with (
            watching(url, modules=["a"], headers={"Authorization": f"Bearer {shown['k1']}"}) as first,
            watching(url, modules=["a"], headers={"Authorization": f"Bearer {shown['k2']}"}) as second,
        ):
            await first.until("live")
            await second.until("live")
            (tmp_path / "new").write_text(jwks(k1=ed25519.Ed25519PrivateKey.generate(), k2=other))
            (tmp_path / "new").replace(path)
            with pytest.raises(ConnectionClosed):
                await first.read()
            assert first.connection.close_code == 1008
            await journal.publish(envelope("a", 1.0))
            assert (await second.read())["data"]["value"] == 1.0


NAMES = st.sampled_from(["croissance", "serre-2", "*", "croissance.*", "", "serre%2D2", "CROISSANCE", "serre-2 "])
TOKENS = st.sampled_from(["0-0-0", "ffffffffffffffff-1-0", "1-1-ffff", "x", ""])
MESSAGES = st.one_of(
    st.fixed_dictionaries(
        {"action": st.sampled_from(["subscribe", "unsubscribe"]), "modules": st.lists(NAMES, max_size=4) | NAMES},
        optional={
            "sensors": st.lists(st.text(max_size=5), max_size=3),
            "since": TOKENS,
            "slow": st.sampled_from(["conflate", "disconnect"]),
            "batch": st.booleans(),
            "grant": st.just("*"),
            "moduleId": st.just("serre-2"),
        },
    ).map(json.dumps),
    st.text(max_size=30),
    st.recursive(st.none() | st.booleans() | st.text(max_size=5), st.lists, max_leaves=5).map(json.dumps),
)


async def test_a_token_for_one_module_gets_nothing_of_another(nats_server, journal):
    """A hundred connections send several requests each; every frame to them is checked."""
    said = []

    @settings(max_examples=100, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(MESSAGES, min_size=1, max_size=8))
    def collect(messages):
        said.append(messages)

    collect()
    async with broadcasting(
        nats_server.url, RECENT_MAX_BYTES="2KiB", WS_MAX_CLIENTS_PER_ADDRESS="1000", JWT_SECRET=SECRET
    ) as url:
        headers = {"Authorization": f"Bearer {token(['croissance'])}"}
        seen = set()
        for round_, messages in enumerate(said):
            for module in ("croissance", "serre-2"):
                await journal.publish(envelope(module, float(round_)))
                await journal.publish(envelope(module, {"status": "online"}, kind="presence"))
            async with watching(f"{url}?module=serre-2&module=croissance", headers=headers) as screen:
                for message in messages:
                    await screen.connection.send(message)
                await screen.say(action="subscribe", modules=["croissance"], batch=False)
                await journal.publish(envelope("serre-2", -1.0), envelope("serre-2", -2.0))
                await journal.publish(envelope("croissance", round_ + 0.5))
                frames = [await screen.read()]
                while not (frames[-1]["event"] == "mqtt-message" and frames[-1]["data"]["value"] == round_ + 0.5):
                    frames.append(await screen.read())
            for frame in frames:
                data = frame.get("data", [])
                seen |= {one["moduleId"] for one in (data if isinstance(data, list) else [data])}
                seen |= {frame["module"]} if "module" in frame else set()
                assert "serre-2" not in frame.get("modules", [])
    assert seen == {"croissance"}


async def test_api_modules_is_limited_to_the_token(nats_server, journal):
    """`/api/modules` shows only the modules that the token allows."""
    import urllib.request
    from asyncio import to_thread

    async with broadcasting(nats_server.url, JWT_SECRET=SECRET) as url:
        await journal.publish(envelope("a", 1.0))
        await journal.publish(envelope("b", 1.0))
        await eventually(lambda: url.broadcaster.metric("modules") == 2, "both modules known")
        request = urllib.request.Request(
            url.replace("ws://", "http://").replace("/ws", "/api/modules"),
            headers={"Authorization": f"Bearer {token(['a'])}"},
        )

        def get():
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.load(answer)

        assert [module["module"] for module in (await to_thread(get))["modules"]] == ["a"]
