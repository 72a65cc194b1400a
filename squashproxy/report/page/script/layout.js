// The squarified layout of a treemap (Bruls, Huizing, van Wijk, 2000).

// The worst ratio of width to height in a row of areas that is laid along `side`.
function worstRatio(row, side) {
  const sum = row.reduce((total, area) => total + area, 0);
  const largest = Math.max(...row);
  const smallest = Math.min(...row);
  return Math.max((side ** 2 * largest) / sum ** 2, sum ** 2 / (side ** 2 * smallest));
}

// How many of the areas, the largest first, make the best next row.
function rowLength(areas, side) {
  let count = 1;
  while (
    count < areas.length &&
    worstRatio(areas.slice(0, count + 1), side) <= worstRatio(areas.slice(0, count), side)
  ) {
    count += 1;
  }
  return count;
}

// Boxes {x, y, width, height} that fill `box`, one for each of `values`, the largest first.
function squarify(values, box) {
  const total = values.reduce((sum, value) => sum + value, 0);
  const scale = total > 0 ? (box.width * box.height) / total : 0;
  let areas = values.map((value) => value * scale);
  let { x, y, width, height } = box;
  const boxes = [];
  while (areas.length) {
    const isWide = width >= height;
    const side = isWide ? height : width;
    const row = areas.slice(0, rowLength(areas, side));
    const depth = side > 0 ? row.reduce((sum, area) => sum + area, 0) / side : 0;
    let at = isWide ? y : x;
    for (const area of row) {
      const length = depth > 0 ? area / depth : 0;
      boxes.push(
        isWide ? { x, y: at, width: depth, height: length } : { x: at, y, width: length, height: depth },
      );
      at += length;
    }
    if (isWide) {
      x += depth;
      width -= depth;
    } else {
      y += depth;
      height -= depth;
    }
    areas = areas.slice(row.length);
  }
  return boxes;
}
