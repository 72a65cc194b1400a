// Text, colours and boxes that all charts share.
"use strict";

const STEP = 1000;
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
const MOTION = !matchMedia("(prefers-reduced-motion: reduce)").matches;

// As squashproxy/report/sizes.py writes sizes: three digits that matter.
function sizeText(size) {
  if (size === null) return "not read";
  let power = 0;
  while (size / STEP ** power >= 999.5 && power < UNITS.length - 1) power += 1;
  if (power === 0) return `${size} B`;
  const value = size / STEP ** power;
  const decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return `${value.toFixed(decimals)} ${UNITS[power]}`;
}

function tickText(size) {
  return sizeText(size).replace(/\.0+ /, " ").replace(/(\.\d*[1-9])0+ /, "$1 ");
}

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// Text from the image only ever becomes text nodes.
function lines(...texts) {
  const box = document.createElement("div");
  for (const [number, text] of texts.entries()) {
    const line = box.appendChild(document.createElement("div"));
    line.textContent = text;
    if (number === 0) line.style.fontWeight = "600";
  }
  return box;
}

function shortened(text, longest) {
  return text.length > longest ? `${text.slice(0, longest - 1)}…` : text;
}

function tooltip(formatter) {
  return {
    confine: true,
    backgroundColor: color("panel"),
    borderColor: color("line"),
    textStyle: { color: color("ink"), fontSize: 13 },
    extraCssText: "max-width: min(26rem, 85vw); white-space: normal; overflow-wrap: anywhere;",
    formatter,
  };
}
