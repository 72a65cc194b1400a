// Draws the charts of a plan and lets its tables be sorted. Without it, all figures are there.
"use strict";

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

document.querySelectorAll("thead th").forEach(makeSortable);
drawAll();
