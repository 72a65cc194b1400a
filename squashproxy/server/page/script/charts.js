/** The two charts: savings over time, and the images that shrank most. */

import { make } from "./parts.js";
import { svg } from "./svg.js";
import { change, count, moment, size } from "./words.js";

const TOP = 8;
const HEIGHT = 240;
const MARGIN = { left: 64, right: 16, top: 12, bottom: 28 };
const DOTS = 30;
const DAY = 86400;

let last = null;

function quiet(text) {
  return make("p", "quiet", text);
}

function clock(at, isLong) {
  const form = isLong ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" };
  return new Date(at * 1000).toLocaleString("en-GB", form);
}

/** @param {number} most @returns {number[]} up to five round values from 0 to `most` or beyond */
function ticks(most) {
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
  const count = Math.ceil(most / step);
  return Array.from({ length: count + 1 }, (_, index) => index * step);
}

/** The line is level until the next image is made. */
function stepPath(points, x, y) {
  const [first, ...rest] = points;
  const steps = rest.map((point) => `H${x(point.at)}V${y(point.saved)}`);
  return `M${x(first.at)},${y(first.saved)}${steps.join("")}`;
}

function savings(points, now, width) {
  const until = Math.max(now, points.at(-1).at + 1);
  const all = [...points, { at: until, saved: points.at(-1).saved }];
  const begin = points[0].at;
  const marks = ticks(Math.max(...points.map((point) => point.saved), 1));
  const inner = { width: width - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const x = (at) => (MARGIN.left + (inner.width * (at - begin)) / (until - begin)).toFixed(1);
  const y = (saved) => (MARGIN.top + inner.height * (1 - saved / marks.at(-1))).toFixed(1);
  const bottom = MARGIN.top + inner.height;
  const grid = marks.flatMap((mark) => [
    svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(mark), y2: y(mark) }),
    svg("text", { class: "tick", x: MARGIN.left - 8, y: Number(y(mark)) + 4, "text-anchor": "end" }, size(mark)),
  ]);
  const isLong = until - begin > 2 * DAY;
  const times = [
    svg("text", { class: "tick", x: MARGIN.left, y: HEIGHT - 8 }, clock(begin, isLong)),
    svg("text", { class: "tick", x: width - MARGIN.right, y: HEIGHT - 8, "text-anchor": "end" }, clock(until, isLong)),
  ];
  const line = stepPath(all, x, y);
  const area = `${line}V${bottom}H${x(begin)}Z`;
  const shown = points.length <= DOTS ? points : [];
  const dots = shown.map((point) =>
    svg(
      "circle",
      { class: "dot", cx: x(point.at), cy: y(point.saved), r: 3 },
      svg("title", {}, `${moment(point.at)}: ${size(point.saved)}`),
    ),
  );
  const said = `${size(points.at(-1).saved)} left out since ${moment(begin)}`;
  return svg(
    "svg",
    { role: "img", "aria-label": said, width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}` },
    ...grid,
    ...times,
    svg("path", { class: "area", d: area }),
    svg("path", { class: "line", d: line }),
    ...dots,
  );
}

function pair(image, most) {
  const rect = (name, bytes, y) =>
    svg("rect", { class: name, y, width: `${(100 * bytes) / most}%`, height: "45%", rx: 2 });
  const bars = svg(
    "svg",
    { class: "pair", "aria-hidden": "true" },
    rect("before", image.compressed_before, "0"),
    rect("after", image.compressed_after, "52%"),
  );
  const [before, after] = [image.compressed_before, image.compressed_after];
  const name = make("span", "name", image.image.split("/").at(-1));
  name.title = image.image;
  return make("li", "", name, bars, make("span", "quiet", `${size(before)} → ${size(after)}, ${change(before, after)}`));
}

function shrunk(images) {
  const saved = (image) => image.compressed_before - image.compressed_after;
  const top = [...images].sort((a, b) => saved(b) - saved(a)).slice(0, TOP);
  if (!top.length) return quiet("No image yet");
  const most = Math.max(...top.map((image) => Math.max(image.compressed_before, image.compressed_after)), 1);
  return make("ol", "pairs", ...top.map((image) => pair(image, most)));
}

/** What the layers take, each counted once: layers that images share are no saving. */
function distinctText(totals) {
  const { distinct_original: original, distinct_served: served, distinct_images: images } = totals;
  const some = images < totals.images ? `, of ${count(images)} of ${count(totals.images)} images` : "";
  const text = `Each layer counted once${some}: squashed ${size(served)}, originals ${size(original)}`;
  if (served > original) {
    return `${text}. That is ${size(served - original)} more, since layers that images shared became different; mode: prune keeps them shared.`;
  }
  return `${text}.`;
}

function showDistinct(totals) {
  document.getElementById("distinct").textContent = totals.distinct_images ? distinctText(totals) : "";
}

function showSavings(status) {
  const place = document.getElementById("savings");
  const width = place.clientWidth;
  if (!status.savings.length) place.replaceChildren(quiet("Nothing saved yet"));
  else if (width > MARGIN.left + MARGIN.right) place.replaceChildren(savings(status.savings, status.now, width));
}

export function showCharts(status) {
  last = status;
  showSavings(status);
  showDistinct(status.totals);
  document.getElementById("shrunk").replaceChildren(shrunk(status.images));
}

/** Let the line follow the width of the window. */
export function prepareCharts() {
  new ResizeObserver(() => last && showSavings(last)).observe(document.getElementById("savings"));
}
