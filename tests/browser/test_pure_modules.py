"""The page's own arithmetic, module by module, in the browser that runs it."""

from typing import get_args

import pytest
from seve_schema.envelope import Kind

SERIES = """async (steps) => {
  const { Series, runs } = await import("./series.js");
  const series = new Series();
  for (const [time, value] of steps.samples) series.add(time, value);
  const points = series.between(steps.from ?? 1000, steps.to ?? 600000);
  const plain = ({ time, low, high, last }) => [time, low, high, Number.isNaN(last) ? null : last];
  return { points: points.map(plain), runs: runs(points, steps.gaps ?? []).map((run) => run.map((p) => p.time)) };
}"""

FLEET = """async (envelopes) => {
  const { Fleet } = await import("./model.js");
  const fleet = new Fleet();
  const blank = { sensorType: null, hardwareId: null, value: null, metadata: null };
  for (const envelope of envelopes) fleet.apply({ ...blank, time: envelope.receivedAt, ...envelope });
  return [...fleet.modules.values()].map((module) => ({
    name: module.name,
    presence: module.presence,
    sensors: [...module.sensors.values()].map(({ type, hardware, value }) => [type, hardware, value]),
  }));
}"""


@pytest.fixture(scope="module")
def bare(chromium, bare_url):
    page = chromium.new_page(locale="en-GB")
    page.goto(f"{bare_url}icon.svg")
    page.goto(f"{bare_url}theme.js")  # any page of that origin: modules are imported from there
    yield page
    page.close()


def test_a_second_keeps_its_lowest_highest_and_newest_value(bare):
    """However many samples a second brings, it costs one point, and no extreme is lost."""
    done = bare.evaluate(SERIES, {"samples": [[1000, 5], [1200, 9], [1900, 7], [2000, 1]]})
    assert done["points"] == [[1000, 5, 9, 7], [2000, 1, 1, 1]]


def test_samples_that_come_late_stand_where_they_belong(bare):
    """A device that empties its buffer draws its past, in order."""
    done = bare.evaluate(SERIES, {"samples": [[9000, 3], [4000, 1], [6000, 2]]})
    assert done["points"] == [[4000, 1, 1, 1], [6000, 2, 2, 2], [9000, 3, 3, 3]]


def test_samples_older_than_the_ring_do_not_overwrite_newer_ones(bare):
    """Ten minutes are kept; a sample from before them is dropped."""
    done = bare.evaluate(SERIES, {"samples": [[700000, 2], [98000, 1]], "to": 800000})
    assert done["points"] == [[700000, 2, 2, 2]]


def test_a_gap_is_never_bridged_by_a_line(bare):
    """Points on both sides of a gap belong to different runs, also where one lies inside it."""
    samples = [[1000, 1], [2000, 1], [5000, 1], [9000, 1], [10000, 1]]
    done = bare.evaluate(SERIES, {"samples": samples, "gaps": [{"from": 2000, "to": 8500}]})
    assert done["runs"] == [[1000, 2000], [5000], [9000, 10000]]


def test_null_breaks_the_line(bare):
    """A sensor that had no value is not drawn as if it had one."""
    done = bare.evaluate(SERIES, {"samples": [[1000, 1], [2000, None], [3000, 1], [4000, 1]]})
    assert done["runs"] == [[1000], [3000, 4000]]


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("number(null)", "\u2013"),
        ("number(21.26, 1)", "21.3"),
        ("number(450, 0)", "450"),
        ("number(12345.678)", "12,345.7"),
        ("number(0.0000012)", "1.2E-6"),
        ("number(-0.01, 1)", "0.0"),
        ("number(1e300, 1)", "1E300"),
        ("age(400)", "now"),
        ("age(61000)", "1 min"),
        ("age(-5000)", "now"),
        ("age(3 * 86400 * 1000)", "3 d"),
        ("describe('co2').unit", "ppm"),
        ("describe('soil_moisture').label", "Soil moisture"),
        ("describe('Air-Temperature').unit", "°C"),
        ("describe('constructor').label", "constructor"),
        ("describe('vendor_thing').unit", ""),
        ("visible('a\\u202eb\\u0000')", "a⟨202E⟩b⟨0000⟩"),
    ],
)
def test_numbers_ages_and_names_read_as_people_read_them(bare, expression, text):
    """Digits follow the sensor, null is a dash, and what would deceive a reader is made visible."""
    names = "{ number, age, describe, visible }"
    script = f"async () => {{ const {names} = await import('./units.js'); return {expression}; }}"
    assert text == bare.evaluate(script)


def said(module, kind, second, **rest):
    return {"moduleId": module, "kind": kind, "receivedAt": f"2026-01-01T00:00:{second:02d}.000000Z", **rest}


def test_a_last_will_takes_a_module_offline(bare):
    """What overtook the will by less than two seconds does not outweigh it."""
    offline = said("a", "presence", 10, metadata={"status": "offline"})
    late = said("a", "measurement", 11, sensorType="co2", value=1)
    assert [module["presence"] for module in bare.evaluate(FLEET, [offline, late])] == ["offline"]


def test_a_module_that_speaks_on_is_online(bare):
    """A device that forgets its birth message is not offline for ever."""
    offline = said("a", "presence", 10, metadata={"status": "offline"})
    later = said("a", "measurement", 30, sensorType="co2", value=1)
    assert [module["presence"] for module in bare.evaluate(FLEET, [offline, later])] == ["online"]


def test_an_older_sample_does_not_replace_the_current_value(bare):
    """The current value is the newest by the sample's own time."""
    new = said("a", "measurement", 20, sensorType="co2", value=2)
    old = said("a", "measurement", 30, sensorType="co2", value=1, time="2026-01-01T00:00:05.000000Z")
    assert bare.evaluate(FLEET, [new, old])[0]["sensors"] == [["co2", None, 2]]


def test_a_clock_that_was_ahead_does_not_hold_the_value_back(bare):
    """No sample was taken after it was received."""
    ahead = said("a", "measurement", 20, sensorType="co2", value=1, time="2026-01-01T00:09:00.000000Z")
    right = said("a", "measurement", 30, sensorType="co2", value=2)
    assert bare.evaluate(FLEET, [ahead, right])[0]["sensors"] == [["co2", None, 2]]


def test_times_are_compared_to_the_microsecond(bare):
    """As the server compares them."""
    new = said("a", "measurement", 20, sensorType="co2", value=2, time="2026-01-01T00:00:05.000009Z")
    old = said("a", "measurement", 20, sensorType="co2", value=1, time="2026-01-01T00:00:05.000008Z")
    assert bare.evaluate(FLEET, [new, old])[0]["sensors"] == [["co2", None, 2]]


def test_a_state_that_the_broker_replays_is_no_news(bare):
    """It counts only where nothing of its kind is known."""
    will = said("a", "presence", 20, metadata={"status": "offline"}, retained=True)
    assert bare.evaluate(FLEET, [will])[0]["presence"] == "offline"
    online = said("a", "presence", 10, metadata={"status": "online"})
    assert bare.evaluate(FLEET, [online, will])[0]["presence"] == "online"


def test_a_value_is_as_old_as_its_sample(bare):
    """A buffer that ends yesterday is shown as overdue, however lately it was handed in."""
    script = """async () => {
      const { Fleet } = await import("./model.js");
      const fleet = new Fleet();
      const receivedAt = "2026-01-02T00:00:00.000000Z";
      const sample = { moduleId: "a", kind: "measurement", sensorType: "co2", value: 1, receivedAt };
      for (const minute of ["00", "01", "02"]) fleet.apply({ ...sample, time: `2026-01-01T00:${minute}:00.000000Z` });
      const [sensor] = fleet.modules.get("a").sensors.values();
      const stale = (now) => sensor.stale(Date.parse(now));
      return [sensor.pace, stale("2026-01-02T00:00:01Z"), stale("2026-01-01T00:03:00Z")];
    }"""
    assert bare.evaluate(script) == [60_000, True, False]


def test_status_and_config_belong_to_the_type_whatever_its_hardware(bare):
    """What is only spoken of has a row until samples come, under whatever hardware."""
    spoken = said("a", "sensors.config", 1, metadata={"co2": {"interval": 60}, "light": {"interval": 60}})
    sample = said("a", "measurement", 2, sensorType="co2", hardwareId="mhz14a", value=1)
    assert bare.evaluate(FLEET, [spoken])[0]["sensors"] == [["co2", None, None], ["light", None, None]]
    assert bare.evaluate(FLEET, [spoken, sample])[0]["sensors"] == [["light", None, None], ["co2", "mhz14a", 1]]


def test_sensors_beyond_the_bound_are_left_out_and_counted(bare):
    """However many names arrive, the page holds 2,000 modules and 5,000 sensors."""
    script = """async () => {
      const { Fleet } = await import("./model.js");
      const fleet = new Fleet();
      const receivedAt = "2026-01-01T00:00:00.000000Z";
      const say = (moduleId, sensorType) =>
        fleet.apply({ moduleId, kind: "measurement", sensorType, value: 1, time: receivedAt, receivedAt });
      for (let n = 0; n < 2010; n++) say(`module-${n}`, "a");
      for (let n = 0; n < 3020; n++) say("module-0", `sensor-${n}`);
      const sensors = [...fleet.modules.values()].reduce((sum, module) => sum + module.sensors.size, 0);
      return [fleet.modules.size, sensors, fleet.refused];
    }"""
    assert bare.evaluate(script) == [2000, 5000, 30]


def test_hostile_names_are_only_names(bare):
    """Modules and sensors named like parts of the language are modules and sensors."""
    names = ["__proto__", "constructor", "toString"]
    envelopes = [said(name, "measurement", 1, sensorType=name, value=1) for name in names]
    envelopes += [said("__proto__", "sensors.status", 2, metadata={"constructor": {"status": "ok"}})]
    modules = bare.evaluate(FLEET, envelopes)
    assert names == [module["name"] for module in modules]
    assert modules[0]["sensors"] == [["__proto__", None, 1], ["constructor", None, None]]


KINDS = [*get_args(Kind), "a kind of the future"]


@pytest.mark.parametrize("body", [None, 1, "text", [], [1], {"a": None}, {"a": 1}, {"memory": 3, "chip": "x"}])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "measurement"])
def test_any_body_of_any_kind_is_survived(bare, kind, body):
    """What a device says of itself may be anything; a kind this page does not know is no fault either."""
    assert [module["name"] for module in bare.evaluate(FLEET, [said("a", kind, 1, metadata=body)])] == ["a"]


def test_backoff_doubles_up_to_half_a_minute_and_is_half_random(bare):
    """No two clients come back in step, and none before the server asked it to."""
    script = """async () => {
      const { backoff } = await import("./seve.js");
      return [backoff(0, 0), backoff(0, 1), backoff(3, 0.5), backoff(50, 0), backoff(50, 1), backoff(0, 0, 7000)];
    }"""
    assert bare.evaluate(script) == [250, 500, 3000, 15000, 30000, 7000]


def test_texts_of_devices_are_cut(bare):
    """2,000 characters of a log line, a status or an address; of a configuration only what is used."""
    script = """async () => {
      const { Fleet, MOST_TEXT } = await import("./model.js");
      const fleet = new Fleet();
      const long = "x".repeat(200_000);
      const receivedAt = "2026-01-01T00:00:00.000000Z";
      const say = (kind, metadata) => fleet.apply({ moduleId: "a", kind, metadata, time: receivedAt, receivedAt });
      for (const msg of [long, { long }]) say("log", { level: long, msg });
      say("presence", { status: long });
      say("system.status", { ip: long, mac: { long } });
      say("hardware.config", { chip: { model: [long] } });
      say("sensors.status", { co2: { status: long } });
      say("sensors.config", { co2: { interval: 60, model: long } });
      const kept = [];
      const walk = (value) => {
        if (typeof value === "string") kept.push(value.length);
        else if (value !== null && typeof value === "object") Object.values(value).forEach(walk);
      };
      const { word, system, chip, logs, sensors } = fleet.modules.get("a");
      [word, system, chip, logs, [...sensors.values()].map(({ status, config }) => [status, config])].forEach(walk);
      return [Math.max(...kept), MOST_TEXT + 1, kept.length];
    }"""
    longest, allowed, texts = bare.evaluate(script)
    assert longest == allowed
    assert texts == 7


def test_a_status_of_thousands_of_sensors_looks_at_each_once(bare):
    """Finding the sensors of a type asks an index: it does not walk through all sensors for each type."""
    script = """async () => {
      const { Fleet } = await import("./model.js");
      const fleet = new Fleet();
      const receivedAt = "2026-01-01T00:00:00.000000Z";
      const metadata = Object.fromEntries(Array.from({ length: 3000 }, (_, n) => [`s${n}`, { status: "ok" }]));
      const say = () => fleet.apply({ moduleId: "a", kind: "sensors.status", metadata, time: receivedAt, receivedAt });
      say();
      const values = Map.prototype.values;
      let walks = 0;
      Map.prototype.values = function () { walks++; return values.call(this); };
      say();
      Map.prototype.values = values;
      return [walks, fleet.modules.get("a").sensors.size];
    }"""
    walks, sensors = bare.evaluate(script)
    assert sensors == 3000
    assert walks < 10


def test_a_module_ranks_by_what_is_wrong(bare):
    """Problems first: a silent module, or a sensor whose status is not ok; offline last."""
    script = """async () => {
      const { Fleet } = await import("./model.js");
      const fleet = new Fleet();
      const receivedAt = "2026-01-01T00:00:00.000000Z";
      const say = (moduleId, kind, metadata) => fleet.apply({ moduleId, kind, metadata, time: receivedAt, receivedAt });
      say("well", "sensors.status", { co2: { status: "ok" } });
      say("faulty", "sensors.status", { co2: { status: "error" } });
      say("silent", "presence", { status: "online" });
      fleet.module("silent").silent = true;
      say("gone", "presence", { status: "offline" });
      return Object.fromEntries([...fleet.modules.values()].map(({ name, rank }) => [name, rank]));
    }"""
    assert bare.evaluate(script) == {"well": 1, "faulty": 0, "silent": 0, "gone": 2}
