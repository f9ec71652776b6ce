"""What a browser shows: the client of `seve.js` in a bare page, and the parts of the live page."""

from support.conditions import wait_until

CLIENT = """async (options) => {
  const { Seve } = await import("/seve.js");
  const seen = { messages: [], frames: 0, states: [], gaps: [], errors: [], silences: [], lives: 0 };
  const client = new Seve(options);
  client.on("message", ({ envelope, snapshot }) => {
    if (envelope.kind === "measurement") seen.messages.push([envelope.sensorType, envelope.value, snapshot]);
  });
  client.on("batch", () => seen.frames++);
  client.on("state", ({ state, code }) => seen.states.push(code ? `${state} ${code}` : state));
  client.on("gap", ({ module, kind }) => seen.gaps.push([module, kind]));
  client.on("error", ({ code }) => seen.errors.push(code));
  client.on("live", () => seen.lives++);
  Object.assign(window, { client, seen });
  client.connect();
}"""


INK = """(canvas) => {
  const { width, height } = canvas;
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, width, height);
  const inked = Array.from({ length: width }, (_, x) => {
    for (let y = 0; y < height; y++) if (data[(y * width + x) * 4 + 3] > 120) return true;
    return false;
  });
  const [first, last] = [inked.indexOf(true), inked.lastIndexOf(true)];
  return { drawn: last - first, missing: inked.slice(first, last).filter((ink) => !ink).length };
}"""
"""Columns between the first and the last that a line covers, and those of them that it leaves out."""


def state_is(page, state):
    wait_until(lambda: page.evaluate("client.state") == state, f"client {state}, is {page.evaluate('seen.states')}")


def values(page):
    return [value for _, value, _ in page.evaluate("seen.messages")]


def card(page, name):
    return page.get_by_role("article", name=f"Module {name}", exact=True)


def row(page, name, label):
    return card(page, name).get_by_role("row").filter(has=page.get_by_role("rowheader", name=label))
