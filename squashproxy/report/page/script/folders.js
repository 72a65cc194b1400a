// The map of hidden bytes by folder.
"use strict";

// White text is legible on all of these, in both schemes.
const HUES = [216, 16, 145, 280, 44, 188, 335, 100];
// The least size of an area and of a frame with a label, in square pixels; and its least width.
const LABELLED = 64 ** 2;
const FRAMED = 110 ** 2;
const NARROWEST = 62;
// The levels of frames, and the shares of a view that count as much and as little; see Painter.
const FRAMES = 2;
const MUCH = 0.4;
const LITTLE = 0.02;

function hsl(hue, depth, order) {
  return `hsl(${hue} ${50 - 4 * Math.min(depth, 3)}% ${31 + 2 * (order % 3)}%)`;
}

function grey(order) {
  return `hsl(216 12% ${33 + 2 * (order % 3)}%)`;
}

function sizeOf(node) {
  return node.children ? node.children.reduce((sum, child) => sum + sizeOf(child), 0) : node.value;
}

// Paints one view of the map: frames down to FRAMES levels, below them plain areas. What holds
// much of the whole is a grey frame, and the folders in it have hues of their own; all others
// share the hue of the folder above. What holds little is grey; what is too small for a label
// has none.
class Painter {
  constructor(whole, pixels) {
    this.whole = whole;
    this.pixels = pixels / whole;
    this.hues = 0;
  }

  paintAll(nodes, depth = 0, hue = null) {
    const sorted = [...nodes].sort((one, other) => sizeOf(other) - sizeOf(one));
    return sorted.map((node, order) => this.paint(node, depth, order, hue));
  }

  nextHue(value) {
    return value > LITTLE * this.whole ? HUES[this.hues++ % HUES.length] : null;
  }

  paint({ children, ...node }, depth, order, inherited) {
    const value = children ? sizeOf({ children }) : node.value;
    const isFrame = children && depth < FRAMES;
    const isGrey = isFrame && inherited === null && value > MUCH * this.whole;
    const hue = isGrey ? null : inherited ?? this.nextHue(value);
    const paint = hue === null ? grey(order) : hsl(hue, depth, order);
    return {
      ...node,
      value,
      itemStyle: {
        color: paint,
        borderColor: isFrame ? paint : color("panel"),
        borderWidth: isFrame ? 2 : 0,
        gapWidth: 1,
      },
      label: { show: value * this.pixels >= LABELLED },
      upperLabel: { show: value * this.pixels >= FRAMED },
      ...(isFrame && { children: this.paintAll(children, depth + 1, hue) }),
    };
  }
}

function folderAreas(folders, { clientWidth, clientHeight }) {
  const whole = folders.reduce((sum, node) => sum + sizeOf(node), 0);
  const describe = ({ data, value }) => {
    if (!data || !data.path) return "";
    const noun = data.files === 1 ? "file" : "files";
    const files = data.files ? [`${data.files.toLocaleString("en")} ${noun}`] : [];
    const share = `${((100 * value) / whole).toFixed(1)} % of what is shown`;
    return lines(shortened(data.path, 300), sizeText(value), share, ...files);
  };
  return {
    animation: MOTION,
    animationDuration: 300,
    tooltip: tooltip(describe),
    series: [
      {
        type: "treemap",
        data: new Painter(whole, clientWidth * clientHeight).paintAll(folders),
        roam: false,
        nodeClick: false,
        breadcrumb: { show: false },
        left: 0,
        right: 0,
        top: 0,
        bottom: 0,
        label: {
          color: "#ffffff",
          fontSize: 12,
          lineHeight: 16,
          overflow: "truncate",
          formatter: ({ name, data, value }) =>
            `${name || data.path.split("/").at(-2)}\n${sizeText(value)}`,
        },
        upperLabel: {
          color: "#ffffff",
          fontSize: 12,
          height: 22,
          overflow: "truncate",
          formatter: ({ name, value }) => `${name}  ${sizeText(value)}`,
        },
        labelLayout: ({ rect }) => (rect && rect.width < NARROWEST ? { x: -9999, y: -9999 } : {}),
        levels: [
          {
            itemStyle: { gapWidth: 2, borderWidth: 0, borderColor: color("panel") },
            upperLabel: { show: false },
          },
        ],
      },
    ],
  };
}

// A click on a folder shows it alone; the buttons of the trail lead back.
class FolderMap {
  constructor(figure, { folders }) {
    this.folders = folders;
    this.trail = figure.querySelector(".trail");
    this.canvas = figure.querySelector(".canvas");
    this.opened = [];
  }

  option() {
    return folderAreas(this.opened.at(-1)?.children ?? this.folders, this.canvas);
  }

  start(chart) {
    this.chart = chart;
    chart.on("click", ({ data }) => {
      const path = this.pathTo(data?.path);
      if (path.length) this.open(path);
    });
  }

  // The folders that lead to a place, from the one shown on, one step down.
  pathTo(place) {
    const shown = this.opened.at(-1)?.children ?? this.folders;
    const next = shown.find((node) => node.children && place?.startsWith(node.path));
    return next ? [...this.opened, next] : [];
  }

  open(path) {
    this.opened = path;
    const steps = path.length ? [{ name: "all folders" }, ...path] : [];
    this.trail.replaceChildren(
      ...steps.map((node, depth) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = node.name;
        button.disabled = depth === path.length;
        button.addEventListener("click", () => this.open(path.slice(0, depth)));
        return button;
      }),
    );
    this.chart.clear();
    this.chart.setOption(this.option());
  }
}
