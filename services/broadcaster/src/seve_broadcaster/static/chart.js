/** Draws one recorded series on a canvas: axes, the band from minimum to maximum, the mean, and the cursor. */

import { timeMarks, valueMarks } from "./timeline.js";
import { number } from "./units.js";

const TOP = 8;
const BOTTOM = 22;
const LEFT = 52;
const RIGHT = 10;
const MARK_WIDTH = 84; // CSS pixels per mark of the time axis
const MARK_HEIGHT = 28;

/** Return the colours of a chart, as the style sheet defines them now. */
export function readInk(element) {
  const style = getComputedStyle(element);
  const names = ["trend", "trend-soft", "band", "faint", "muted", "ink", "sap"];
  const ink = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  return { ...ink, font: `12px ${style.fontFamily}` };
}

/** Return the time at `x`, in CSS pixels from the left edge of the canvas. */
export function timeAt(x, width, { from, to }) {
  const share = (x - LEFT) / Math.max(1, width - LEFT - RIGHT);
  return from + Math.min(1, Math.max(0, share)) * (to - from);
}

/**
 * Draw `series` on `canvas`. `view` is { from, to, ink, cursor, selection, digits }: times in milliseconds, `cursor` the
 * time of the cursor or null, `selection` the range that is being selected or null.
 */
export function draw(canvas, series, view) {
  const scale = devicePixelRatio;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  const runs = series.runs(view.from, view.to);
  const { low, high } = extent(runs, view);
  const centre = series.width / 2;
  const x = (time) => LEFT + ((time - view.from) / (view.to - view.from)) * (width - LEFT - RIGHT);
  const y = (value) => TOP + ((high - value) / (high - low)) * (height - TOP - BOTTOM);
  axes(context, view, { width, height, low, high, x, y });
  context.save();
  context.beginPath();
  context.rect(LEFT, 0, width - LEFT - RIGHT, height - BOTTOM + 1);
  context.clip();
  const place = (point) => x(point.time + centre);
  for (const run of runs) band(context, run, place, y, view.ink.band);
  for (const run of runs) line(context, run, place, y, view.ink.trend);
  if (view.selection) chosen(context, x, view, height);
  context.restore();
  if (view.cursor !== null) cross(context, series, view, { x, y, place, height });
}

function extent(runs, { from, to, digits }) {
  let [low, high] = [Infinity, -Infinity];
  for (const run of runs) {
    for (const point of run) {
      if (run.length > 1 && (point.time < from || point.time > to)) continue;
      low = Math.min(low, point.low);
      high = Math.max(high, point.high);
    }
  }
  if (low > high) return { low: 0, high: 1 };
  const least = Math.max(10 ** (1 - (digits ?? 3)), Math.abs(high) * 0.002);
  const room = Math.max((high - low) * 0.06, (least - (high - low)) / 2, Number.MIN_VALUE);
  return { low: low - room, high: high + room };
}

function axes(context, view, { width, height, low, high, x, y }) {
  const { ink } = view;
  context.font = ink.font;
  context.lineWidth = 1;
  context.strokeStyle = ink.faint;
  context.fillStyle = ink.muted;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const value of valueMarks(low, high, (height - TOP - BOTTOM) / MARK_HEIGHT)) {
    stroke(context, LEFT, y(value), width - RIGHT, y(value));
    context.fillText(number(value), LEFT - 8, y(value));
  }
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  for (const { time, text, strong } of timeMarks(view, (width - LEFT - RIGHT) / MARK_WIDTH)) {
    stroke(context, x(time), TOP, x(time), height - BOTTOM + 4);
    context.fillStyle = strong ? ink.ink : ink.muted;
    const half = context.measureText(text).width / 2;
    context.fillText(text, Math.min(Math.max(x(time), half), width - half), height - 5);
  }
}

function stroke(context, left, top, right, bottom) {
  context.beginPath();
  context.moveTo(Math.round(left) + 0.5, Math.round(top) + 0.5);
  context.lineTo(Math.round(right) + 0.5, Math.round(bottom) + 0.5);
  context.stroke();
}

function band(context, run, place, y, fill) {
  if (run.length < 2) return;
  context.beginPath();
  for (const point of run) context.lineTo(place(point), y(point.high));
  for (const point of [...run].reverse()) context.lineTo(place(point), y(point.low));
  context.closePath();
  context.fillStyle = fill;
  context.fill();
}

function line(context, run, place, y, colour) {
  context.beginPath();
  for (const point of run) context.lineTo(place(point), y(point.mean));
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  context.stroke();
  if (run.length === 1) dot(context, place(run[0]), y(run[0].mean), 2, colour);
}

function dot(context, x, y, radius, colour) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
}

function chosen(context, x, { selection, ink }, height) {
  context.fillStyle = ink["trend-soft"];
  context.fillRect(x(selection.from), 0, x(selection.to) - x(selection.from), height);
  context.strokeStyle = ink.sap;
  for (const edge of [selection.from, selection.to]) stroke(context, x(edge), 0, x(edge), height);
}

function cross(context, series, { cursor, ink }, { x, y, place, height }) {
  context.strokeStyle = ink.muted;
  stroke(context, x(cursor), TOP, x(cursor), height - BOTTOM);
  const point = series.nearest(cursor);
  if (point?.count) dot(context, place(point), y(point.mean), 3.5, ink.sap);
}
