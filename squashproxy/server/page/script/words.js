/** Figures and times as people read them. */

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** @param {number | null} bytes @returns {string} as in 12.3 MB */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return "unknown";
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || Math.abs(value) >= 99.5 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** @param {number} value @returns {string} */
export function count(value) {
  return value.toLocaleString("en-GB");
}

/** @param {number} seconds @returns {string} as in 3 d 4 h */
export function duration(seconds) {
  const parts = [
    [86400, "d"],
    [3600, "h"],
    [60, "min"],
  ];
  for (const [length, unit] of parts) {
    if (seconds >= length) {
      const index = parts.findIndex((part) => part[0] === length);
      const rest = parts[index + 1];
      const whole = Math.floor(seconds / length);
      const more = rest ? Math.floor((seconds % length) / rest[0]) : 0;
      return more ? `${whole} ${unit} ${more} ${rest[1]}` : `${whole} ${unit}`;
    }
  }
  return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
}

/** @param {number} at unix seconds @param {number} now @returns {string} */
export function ago(at, now) {
  const seconds = Math.max(0, now - at);
  return seconds < 5 ? "just now" : `${duration(seconds)} ago`;
}

/** @param {number} at unix seconds @returns {string} */
export function moment(at) {
  return new Date(at * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

/** @param {number} before @param {number} after @returns {string} as in −34 % */
export function change(before, after) {
  if (!before) return "";
  const percent = Math.round((100 * (after - before)) / before);
  return percent === 0 ? "±0 %" : `${percent < 0 ? "−" : "+"}${Math.abs(percent)} %`;
}

/** @param {string} digest @returns {string} */
export function short(digest) {
  return digest.replace(/^sha256:/, "").slice(0, 12);
}
