// Sizes as squashproxy/report/sizes.py writes them: decimal units, three significant digits.

const STEP = 1000;
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

function sizeText(size) {
  let power = 0;
  while (size / STEP ** power >= 999.5 && power < UNITS.length - 1) power += 1;
  if (power === 0) return `${size} B`;
  const value = size / STEP ** power;
  const decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return `${value.toFixed(decimals)} ${UNITS[power]}`;
}
