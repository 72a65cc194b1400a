/** The page: fetches the server's status, and shows it. */

import { prepareCharts, showCharts } from "./charts.js";
import { showFleet } from "./fleet.js";
import { prepareImages, showImages } from "./images.js";
import { showErrors, showFigures, showHealth, showJobs, showRuns, showUpstreams } from "./parts.js";
import { poll } from "./status.js";
import { moment } from "./words.js";

const banner = document.getElementById("banner");
let last = null;

function show(status) {
  last = status;
  banner.hidden = true;
  document.body.classList.remove("old");
  for (const part of [showHealth, showFigures, showJobs, showFleet, showRuns, showErrors, showUpstreams, showImages, showCharts]) {
    part(status);
  }
}

function tell(why) {
  const since = last ? ` What is shown is from ${moment(last.now)}.` : "";
  banner.textContent = `No news: ${why}.${since}`;
  banner.hidden = false;
  document.body.classList.add("old");
  const health = document.getElementById("health");
  health.textContent = "no answer";
  health.dataset.kind = "bad";
}

prepareImages();
prepareCharts();
poll(show, tell);
