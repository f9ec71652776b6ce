/** Names, units and digits of well-known sensor types; numbers and ages as text. Pure. */

export const NOTHING = "–";

const KNOWN = new Map(
  Object.entries({
    temperature: ["Temperature", "°C", 1],
    humidity: ["Humidity", "%", 1],
    moisture: ["Moisture", "%", 1],
    co2: ["CO₂", "ppm", 0],
    pressure: ["Pressure", "hPa", 1],
    illuminance: ["Illuminance", "lx", 0],
    light: ["Light", "lx", 0],
    lux: ["Light", "lx", 0],
    par: ["PAR", "µmol/m²/s", 0],
    ppfd: ["PPFD", "µmol/m²/s", 0],
    vpd: ["VPD", "kPa", 2],
    dewpoint: ["Dew point", "°C", 1],
    ph: ["pH", "", 2],
    ec: ["EC", "mS/cm", 2],
    tvoc: ["TVOC", "ppb", 0],
    voc: ["VOC", "ppb", 0],
    eco2: ["eCO₂", "ppm", 0],
    pm1: ["PM1", "µg/m³", 0],
    pm25: ["PM2.5", "µg/m³", 0],
    pm10: ["PM10", "µg/m³", 0],
    noise: ["Noise", "dB", 1],
    voltage: ["Voltage", "V", 2],
    current: ["Current", "A", 2],
    power: ["Power", "W", 0],
    energy: ["Energy", "kWh", 2],
    battery: ["Battery", "%", 0],
    rssi: ["Signal", "dBm", 0],
    distance: ["Distance", "cm", 1],
    level: ["Level", "%", 0],
    flow: ["Flow", "L/min", 2],
    weight: ["Weight", "kg", 2],
    rain: ["Rain", "mm", 1],
    wind: ["Wind", "m/s", 1],
    speed: ["Speed", "m/s", 1],
  }),
);

const formats = new Map();

function format(least, most, notation = "standard") {
  const key = `${least}/${most}/${notation}`;
  if (!formats.has(key)) {
    const digits = { minimumFractionDigits: least, maximumFractionDigits: most };
    formats.set(key, new Intl.NumberFormat(undefined, { ...digits, notation, signDisplay: "negative" }));
  }
  return formats.get(key);
}

/** Return `{ label, unit, digits }` of a sensor type; it may end in a known word. `digits` is null if unknown. */
export function describe(type) {
  const words = type.toLowerCase().split(/[\s_.-]+/u).filter(Boolean);
  const exact = KNOWN.get(words.join(""));
  if (exact) return { label: exact[0], unit: exact[1], digits: exact[2] };
  const family = words.length > 1 ? KNOWN.get(words.at(-1)) : undefined;
  if (!family) return { label: type, unit: "", digits: null };
  const label = words.join(" ");
  return { label: label[0].toUpperCase() + label.slice(1), unit: family[1], digits: family[2] };
}

/** Return a value as text: with fixed digits, or about four significant ones if `digits` is null; "–" for null. */
export function number(value, digits = null) {
  if (value === null || value === undefined || Number.isNaN(value)) return NOTHING;
  const size = Math.abs(value);
  if (size >= 1e7 || (size > 0 && size < 1e-3)) return format(0, 2, "scientific").format(value);
  if (digits !== null) return format(digits, digits).format(value);
  if (Number.isInteger(value)) return format(0, 0).format(value);
  return format(0, size >= 1000 ? 1 : size >= 10 ? 2 : 3).format(value);
}

export function count(value) {
  return format(0, 0).format(value);
}

/**
 * Return text of a device with invisible characters replaced by visible codes: control characters, and marks of the
 * writing direction, which can make one name look like another.
 */
export function visible(text) {
  return text.replace(/[\p{Cc}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu, (sign) => {
    return `⟨${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

/** Return milliseconds as a short age: "now", "12 s", "4 min", "3 h", "2 d". */
export function age(milliseconds) {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 2) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${count(Math.floor(seconds / 86_400))} d`;
}
