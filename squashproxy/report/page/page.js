// Draws the charts of a plan and lets its tables be sorted. Without it, all figures are there.
(() => {
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

  function layerBars(layers) {
    const bar = (name, paint, value) => ({
      name,
      type: "bar",
      stack: "unpacked",
      barMaxWidth: 22,
      barCategoryGap: "30%",
      itemStyle: { color: color(paint) },
      emphasis: { focus: "none" },
      data: layers.map(value),
    });
    const describe = ([{ dataIndex }]) => {
      const layer = layers[dataIndex];
      const hidden = layer.hidden === null ? [] : [`hidden ${sizeText(layer.hidden)}`];
      return lines(
        `Layer ${layer.number}, ${layer.role}`,
        `seen ${sizeText(layer.shown)}`,
        ...hidden,
        shortened(layer.step, 200),
      );
    };
    return {
      animation: MOTION,
      animationDuration: 300,
      grid: { left: 4, right: 20, top: 4, bottom: 4, containLabel: true },
      tooltip: { trigger: "axis", axisPointer: { type: "shadow" }, ...tooltip(describe) },
      xAxis: {
        type: "value",
        splitNumber: 4,
        axisLabel: { formatter: tickText, color: color("quiet"), hideOverlap: true },
        splitLine: { lineStyle: { color: color("line") } },
      },
      yAxis: {
        type: "category",
        inverse: true,
        data: layers.map((layer) => `${layer.number}${layer.role === "base" ? "  base" : ""}`),
        axisLabel: { color: color("ink"), interval: 0 },
        axisLine: { lineStyle: { color: color("line") } },
        axisTick: { show: false },
      },
      series: [
        bar("base, seen", "base", (layer) => (layer.role === "base" ? layer.shown : 0)),
        bar("above the base, seen", "shown", (layer) => (layer.role === "base" ? 0 : layer.shown)),
        bar("hidden by upper layers", "waste", (layer) => layer.hidden),
      ],
    };
  }

  // White text is legible on all of these, in both schemes.
  const HUES = [216, 16, 145, 280, 44, 188, 335, 100];
  const LABELLED = 64 ** 2;
  const NARROWEST = 62;
  const FRAMED = 110 ** 2;

  function hsl(hue, depth, order) {
    return `hsl(${hue} ${50 - 4 * Math.min(depth, 3)}% ${31 + 2 * (order % 3)}%)`;
  }

  function sizeOf(node) {
    return node.children ? node.children.reduce((sum, child) => sum + sizeOf(child), 0) : node.value;
  }

  // Folders of one top folder share its hue; what is too small for a label has none.
  function painted(nodes, pixels, depth = 0, hue = null) {
    const sorted = [...nodes].sort((one, other) => sizeOf(other) - sizeOf(one));
    return sorted.map((node, order) => {
      const own = hue ?? HUES[order % HUES.length];
      const area = sizeOf(node) * pixels;
      return {
        ...node,
        itemStyle: {
          color: hsl(own, depth, order),
          borderColor: node.children ? hsl(own, depth, 0) : color("panel"),
          borderWidth: node.children ? 2 : 0,
          gapWidth: 1,
        },
        label: { show: area >= LABELLED },
        upperLabel: { show: area >= FRAMED },
        ...(node.children && { children: painted(node.children, pixels, depth + 1, own) }),
      };
    });
  }

  function folderAreas(folders, { clientWidth, clientHeight }) {
    const whole = folders.reduce((sum, node) => sum + sizeOf(node), 0);
    const describe = ({ data, value }) => {
      if (!data || !data.path) return "";
      const files = data.files ? [`${data.files.toLocaleString("en")} files`] : [];
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
          data: painted(folders, (clientWidth * clientHeight) / whole),
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
          levels: [{ itemStyle: { gapWidth: 2, borderWidth: 0, borderColor: color("panel") }, upperLabel: { show: false } }],
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

  class LayerBars {
    constructor(_figure, { layers }) {
      this.layers = layers;
    }

    option() {
      return layerBars(this.layers);
    }

    start() {}
  }

  const CHARTS = {
    layers: { Kind: LayerBars, height: ({ layers }) => 44 + 26 * layers.length },
    folders: { Kind: FolderMap, height: () => (innerWidth < 600 ? 340 : 440) },
  };

  function drawAll() {
    const platforms = JSON.parse(document.getElementById("charts").textContent);
    const drawn = [];
    for (const figure of document.querySelectorAll("figure[data-chart]")) {
      const data = platforms[figure.closest("[data-platform]").dataset.platform];
      const { Kind, height } = CHARTS[figure.dataset.chart];
      const canvas = figure.querySelector(".canvas");
      figure.hidden = false;
      canvas.style.height = `${height(data)}px`;
      const chart = echarts.init(canvas, null, { renderer: "svg" });
      const kind = new Kind(figure, data);
      chart.setOption(kind.option());
      kind.start(chart);
      drawn.push({ canvas, chart, kind });
    }
    follow(drawn);
  }

  // Colours follow the scheme and the medium, sizes the window.
  function follow(drawn) {
    const repaint = ({ chart, kind }) => chart.setOption({ ...kind.option(), animation: false });
    const repaintAll = () => drawn.forEach(repaint);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaintAll);
    matchMedia("print").addEventListener("change", repaintAll);
    const resized = new ResizeObserver((entries) => {
      for (const { target } of entries) {
        const found = drawn.find(({ canvas }) => canvas === target);
        if (found.chart.getWidth() === target.clientWidth) continue;
        found.chart.resize({ animation: { duration: 0 } });
        repaint(found);
      }
    });
    drawn.forEach(({ canvas }) => resized.observe(canvas));
  }

  function sortKey(cell) {
    return cell.dataset.sort === undefined ? cell.textContent : Number(cell.dataset.sort);
  }

  function compare(one, other) {
    if (typeof one === "number") return one - other;
    return one < other ? -1 : one > other ? 1 : 0;
  }

  // The first click on a column of figures brings the largest up, on one of text begins at A.
  function sortBy(header) {
    const { cellIndex } = header;
    const body = header.closest("table").tBodies[0];
    const first = header.classList.contains("number") ? "descending" : "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    const order = header.getAttribute("aria-sort") === first ? second : first;
    const sign = order === "ascending" ? 1 : -1;
    const rows = [...body.rows].map((row) => [sortKey(row.cells[cellIndex]), row]);
    rows.sort(([one], [other]) => sign * compare(one, other));
    body.append(...rows.map(([, row]) => row));
    for (const cell of header.parentElement.cells) cell.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", order);
  }

  function makeSortable(header) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent;
    button.addEventListener("click", () => sortBy(header));
    header.replaceChildren(button);
    header.setAttribute("aria-sort", "none");
  }

  document.querySelectorAll("thead th").forEach(makeSortable);
  drawAll();
})();
