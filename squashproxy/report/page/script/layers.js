// The bars of the layers.
"use strict";

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
    grid: { left: 4, right: 32, top: 4, bottom: 4, containLabel: true },
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

class LayerBars {
  constructor(_figure, { layers }) {
    this.layers = layers;
  }

  option() {
    return layerBars(this.layers);
  }

  start() {}
}
