/** The two charts; drawn anew only where their data changed. */

import { size } from "./words.js";

const TOP = 8;
const drawn = new Map();

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function chart(id) {
  const place = document.getElementById(id);
  return window.echarts.getInstanceByDom(place) ?? window.echarts.init(place, null, { renderer: "svg" });
}

function draw(id, option) {
  const key = JSON.stringify(option);
  if (drawn.get(id) === key) return;
  drawn.set(id, key);
  chart(id).setOption(
    { animation: false, textStyle: { color: color("--ink"), fontFamily: "inherit" }, ...option },
    true,
  );
}

function axis(extra) {
  return {
    axisLine: { lineStyle: { color: color("--line") } },
    splitLine: { lineStyle: { color: color("--line") } },
    axisLabel: { color: color("--quiet"), ...extra.axisLabel },
    ...Object.fromEntries(Object.entries(extra).filter(([key]) => key !== "axisLabel")),
  };
}

function message(text) {
  return {
    title: { text, left: "center", top: "middle", textStyle: { color: color("--quiet"), fontSize: 14, fontWeight: 400 } },
  };
}

function savings(points, now) {
  if (!points.length) return message("Nothing saved yet");
  const data = points.map((point) => [point.at * 1000, point.saved]);
  const last = data[data.length - 1];
  const minute = Math.floor(now / 60) * 60000; // not the second, so that it is not drawn anew each time
  if (minute > last[0]) data.push([minute, last[1]]);
  return {
    grid: { left: 8, right: 16, top: 12, bottom: 8, containLabel: true },
    tooltip: { trigger: "axis", valueFormatter: size },
    xAxis: axis({ type: "time", splitNumber: 3, axisLabel: { hideOverlap: true, fontSize: 11, alignMinLabel: "left", alignMaxLabel: "right" } }),
    yAxis: axis({ type: "value", splitNumber: 4, axisLabel: { formatter: (value) => size(value) } }),
    series: [
      {
        type: "line",
        step: "end",
        showSymbol: data.length < 30,
        data,
        lineStyle: { color: color("--good"), width: 2 },
        itemStyle: { color: color("--good") },
        areaStyle: { color: color("--good"), opacity: 0.12 },
      },
    ],
  };
}

function shrunk(images) {
  const saved = (image) => image.compressed_before - image.compressed_after;
  const top = [...images].sort((a, b) => saved(b) - saved(a)).slice(0, TOP).reverse();
  if (!top.length) return message("No image yet");
  const names = top.map((image) => image.image.split("/").slice(-1)[0]);
  const series = (name, key, fill) => ({
    name,
    type: "bar",
    data: top.map((image) => image[key]),
    itemStyle: { color: color(fill) },
    barGap: "10%",
  });
  return {
    grid: { left: 8, right: 24, top: 32, bottom: 8, containLabel: true },
    legend: { top: 0, left: 0, itemWidth: 12, textStyle: { color: color("--ink") } },
    tooltip: { trigger: "axis", axisPointer: { type: "shadow" }, valueFormatter: size },
    xAxis: axis({ type: "value", splitNumber: 3, axisLabel: { formatter: (value) => size(value), hideOverlap: true } }),
    yAxis: axis({ type: "category", data: names, axisLabel: { width: 150, overflow: "truncate" } }),
    series: [series("before", "compressed_before", "--base"), series("after", "compressed_after", "--shown")],
  };
}

export function showCharts(status) {
  if (!window.echarts) return;
  draw("savings", savings(status.savings, status.now));
  draw("shrunk", shrunk(status.images));
}

/** Let the charts follow the window and the colour scheme. */
export function prepareCharts(redraw) {
  window.addEventListener("resize", () => {
    for (const id of ["savings", "shrunk"]) chart(id).resize();
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    drawn.clear();
    redraw();
  });
}
