/** Draws one series on a canvas: runs of samples as lines, gaps as hatching. Does not measure the canvas. */

import { extent, runs } from "./series.js";

const INSET = 4; // CSS pixels, for the width of the line and the dot

/** Return the colours of the trends, as the style sheet defines them now, and the hatching made from them. */
export function readInk(element) {
  const style = getComputedStyle(element);
  const ink = Object.fromEntries(
    ["trend", "trend-soft", "trend-stale", "hatch", "thinned"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
  );
  return { ...ink, pattern: hatching(ink.hatch) };
}

function hatching(colour) {
  const tile = new OffscreenCanvas(8, 8);
  const context = tile.getContext("2d");
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  for (const shift of [-8, 0, 8]) {
    context.moveTo(shift, 8);
    context.lineTo(shift + 8, 0);
  }
  context.stroke();
  return context.createPattern(tile, "repeat");
}

/** `view` is { from, to, gaps, thinned, ink, stale, least }; `least` is the smallest range of values shown. */
export function draw(canvas, points, view) {
  const context = canvas.getContext("2d");
  const scale = Number(canvas.dataset.scale ?? 1);
  const [width, height] = [canvas.width / scale, canvas.height / scale];
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  const x = (time) => INSET + ((width - 2 * INSET) * (time - view.from)) / (view.to - view.from);
  for (const mark of view.thinned) band(context, x, mark, height, view.ink.thinned, 2);
  for (const gap of view.gaps) band(context, x, gap, height, view.ink.pattern, 4);
  const found = extent(points);
  if (!found) return;
  const y = scaleOf(found, view.least, height);
  const lines = runs(points, view.gaps);
  context.lineJoin = context.lineCap = "round";
  for (const run of lines) area(context, run, x, y, height, view.ink["trend-soft"]);
  const colour = view.stale ? view.ink["trend-stale"] : view.ink.trend;
  for (const run of lines) line(context, run, x, y, colour);
  if (lines.length) dot(context, x(lines.at(-1).at(-1).time), y(lines.at(-1).at(-1).last), 2.5, colour);
}

function scaleOf({ low, high }, least, height) {
  const spread = Math.max(high - low, least);
  const middle = (high + low) / 2;
  return (value) => height / 2 - ((value - middle) / spread) * (height - 2 * INSET);
}

function band(context, x, { from, to }, height, fill, least) {
  const left = x(from);
  const right = Math.max(x(to), left + least);
  if (right < INSET) return;
  context.fillStyle = fill;
  context.fillRect(Math.max(left, INSET), 0, right - Math.max(left, INSET), height);
}

function area(context, run, x, y, height, fill) {
  if (run.length < 2) return;
  context.beginPath();
  context.moveTo(x(run[0].time), height);
  for (const point of run) context.lineTo(x(point.time), y(point.high));
  context.lineTo(x(run.at(-1).time), height);
  context.fillStyle = fill;
  context.fill();
}

function line(context, run, x, y, colour) {
  if (run.length === 1) {
    dot(context, x(run[0].time), y(run[0].last), 1.5, colour);
    return;
  }
  context.beginPath();
  for (const { time, low, high, last } of run) {
    if (low !== high) {
      context.lineTo(x(time), y(low));
      context.lineTo(x(time), y(high));
    }
    context.lineTo(x(time), y(last));
  }
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.stroke();
}

function dot(context, left, top, radius, colour) {
  context.beginPath();
  context.arc(left, top, radius, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
}
