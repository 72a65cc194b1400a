/** The table of images: sorted, filtered, and the same rows as long as nothing changed. */

import { make } from "./parts.js";
import { ago, change, count, duration, moment, short, size } from "./words.js";

const COLUMNS = [
  { name: "image", key: (image) => image.image },
  { name: "platforms", key: (image) => image.platforms.length },
  { name: "layers", key: (image) => image.layers_before, number: true },
  { name: "before", key: (image) => image.compressed_before, number: true },
  { name: "after", key: (image) => image.compressed_after, number: true },
  { name: "change", key: (image) => image.compressed_after / (image.compressed_before || 1), number: true },
  { name: "hidden", key: (image) => image.hidden_bytes, number: true },
  { name: "pulls", key: (image) => image.pulls, number: true },
  { name: "took", key: (image) => image.seconds, number: true },
  { name: "when", key: (image) => image.made_at, number: true },
  { name: "digest", key: (image) => image.digest },
];

let sorted = { column: 9, down: true };
let last = { images: [], now: 0 };

function compare(one, other) {
  const { key } = COLUMNS[sorted.column];
  const [a, b] = [key(one), key(other)];
  const order = typeof a === "string" ? a.localeCompare(b) : a - b;
  return sorted.down ? -order : order;
}

function cell(text, isNumber, title) {
  const element = make("td", isNumber ? "number" : "", text);
  if (title) element.title = title;
  return element;
}

/** What an image was made from, and the keys that signed both. */
function origin(image) {
  const told = [`${image.digest}, from ${image.source_digest}`];
  if (image.source_keys.length) told.push(`source signed by key ${image.source_keys.join(", ")}`);
  if (image.signed_with) told.push(`signed with key ${image.signed_with}`);
  return told.join("; ");
}

function row(image, now) {
  const name = make("th", "name", image.image);
  name.scope = "row";
  return make(
    "tr",
    "",
    name,
    cell(image.platforms.join(", ")),
    cell(`${image.layers_before} → ${image.layers_after}`, true),
    cell(size(image.compressed_before), true),
    cell(size(image.compressed_after), true),
    cell(change(image.compressed_before, image.compressed_after), true),
    cell(size(image.hidden_bytes), true, "unpacked bytes that upper layers hid"),
    cell(count(image.pulls), true),
    cell(duration(image.seconds), true),
    cell(ago(image.made_at, now), true, moment(image.made_at)),
    cell(short(image.digest) + (image.signed_with ? ", signed" : ""), false, origin(image)),
  );
}

function draw() {
  const wanted = document.getElementById("filter").value.trim().toLowerCase();
  const found = last.images.filter((image) => image.image.toLowerCase().includes(wanted));
  const body = document.querySelector("#images tbody");
  const caption = document.getElementById("images-caption");
  body.replaceChildren(...found.sort(compare).map((image) => row(image, last.now)));
  caption.textContent = last.images.length
    ? `${count(found.length)} of ${count(last.images.length)}`
    : "Nothing squashed yet. Pull an image through this address, or POST its name to /api/v1/warm.";
  document.querySelectorAll("#images thead th").forEach((head, column) => {
    const order = sorted.down ? "descending" : "ascending";
    head.setAttribute("aria-sort", column === sorted.column ? order : "none");
  });
}

/** Make the head of the table, whose columns sort it, and the filter. */
export function prepareImages() {
  const heads = COLUMNS.map(({ name, number }, column) => {
    const button = make("button", "", name);
    button.type = "button";
    button.addEventListener("click", () => {
      sorted = { column, down: sorted.column === column ? !sorted.down : Boolean(number) };
      draw();
    });
    const head = make("th", number ? "number" : "", button);
    head.scope = "col";
    return head;
  });
  document.querySelector("#images thead tr").replaceChildren(...heads);
  document.getElementById("filter").addEventListener("input", draw);
}

export function showImages(status) {
  last = { images: status.images, now: status.now };
  draw();
}
