/** The parts of the page other than charts and table. Text is inserted as text, never as HTML. */

import { svg } from "./svg.js";
import { ago, count, duration, moment, size } from "./words.js";

/** @returns {HTMLElement} an element with a class and texts or elements in it */
export function make(name, className, ...content) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...content);
  return element;
}

/** What is wrong with the fleet, in a few words; empty if nothing is. */
function fleetTrouble(fleet) {
  if (!fleet) return "";
  if (fleet.broker === "away") return "the broker is away";
  if (fleet.stuck) return fleet.workers.length ? "no worker takes interactive jobs" : "no worker runs";
  return "";
}

export function showHealth(status) {
  const down = status.upstreams.filter((upstream) => upstream.state !== "up");
  const recent = status.errors.filter((error) => status.now - error.at < 900);
  const health = document.getElementById("health");
  let text = "healthy";
  let kind = "good";
  if (recent.length) {
    text = `${count(recent.length)} ${recent.length === 1 ? "error" : "errors"} in the last 15 min`;
    kind = "warn";
  }
  const parked = status.fleet?.counts.parked;
  if (parked) {
    text = `${count(parked)} ${parked === 1 ? "job is" : "jobs are"} parked`;
    kind = "warn";
  }
  const bad = down.map((upstream) => `${upstream.name} is ${upstream.state}`);
  const trouble = fleetTrouble(status.fleet);
  if (trouble) bad.push(trouble);
  if (bad.length) {
    text = bad.join(", ");
    kind = "bad";
  }
  health.textContent = text;
  health.dataset.kind = kind;
}

export function showFigures(status) {
  const { totals } = status;
  const figures = [
    ["images squashed", count(totals.images)],
    ["left out", size(totals.bytes_saved)],
    ["requests", count(totals.requests)],
    ["from upstream", size(totals.bytes_in)],
    ["to clients", size(totals.bytes_out)],
    ["up for", duration(status.now - status.started)],
  ];
  const list = figures.map(([name, value]) =>
    make("div", "figure", make("dt", "", name), make("dd", "", value)),
  );
  document.getElementById("figures").replaceChildren(...list);
  document.getElementById("version").textContent = status.version;
}

export function bar(share, label) {
  const percent = 100 * Math.min(1, Math.max(0, share));
  const filled = svg("rect", { class: "filled", width: `${percent}%`, height: "100%" });
  return svg("svg", { class: "bar", role: "img", "aria-label": label }, filled);
}

function jobLine(job, now) {
  const since = duration(now - (job.started ?? job.submitted));
  const facts = [job.state === "running" ? `runs for ${since}` : `waits for ${since}`];
  if (job.total_bytes) facts.push(`${size(job.done_bytes)} moved`);
  if (job.waiters) facts.push(`${count(job.waiters)} waiting for it`);
  const share = job.total_bytes ? job.done_bytes / job.total_bytes : 0;
  const percent = `${Math.round(100 * Math.min(1, share))} %`;
  return make(
    "li",
    job.state,
    make("strong", "name", job.image),
    bar(share, percent),
    make("span", "quiet", facts.join(" · ")),
  );
}

export function showJobs(status) {
  const place = document.getElementById("jobs");
  if (!status.jobs.length) {
    place.replaceChildren(make("p", "quiet", "Nothing is being squashed."));
    return;
  }
  const lines = status.jobs.map((job) => jobLine(job, status.now));
  place.replaceChildren(make("ul", "jobs", ...lines));
}

export function showRuns(status) {
  document.getElementById("runs-section").hidden = !status.runs.length;
  const lines = status.runs.slice(0, 20).map((run) => {
    const time = make("time", "quiet", ago(run.started, status.now));
    time.title = moment(run.started);
    const outcome = run.outcome ?? (run.ended ? "ended" : "runs");
    const name = make("strong", "name", `${run.section} ${run.rule}`);
    return make("li", run.outcome ?? "", time, name, make("span", "", `${outcome}: ${run.summary}`));
  });
  document.getElementById("runs").replaceChildren(make("ul", "errors", ...lines));
}

export function showErrors(status) {
  const place = document.getElementById("errors");
  if (!status.errors.length) {
    place.replaceChildren(make("p", "quiet", "None since the server began."));
    return;
  }
  const lines = status.errors.slice(0, 20).map((error) => {
    const time = make("time", "quiet", ago(error.at, status.now));
    time.title = moment(error.at);
    return make("li", "", time, make("strong", "name", error.image), make("span", "", error.message));
  });
  place.replaceChildren(make("ul", "errors", ...lines));
}

function upstreamCard(upstream, now) {
  const facts = [upstream.state];
  if (upstream.until && upstream.until > now) {
    facts.push(`asked again in ${duration(upstream.until - now)}`);
  }
  if (upstream.ratelimit_remaining !== null) {
    facts.push(`${count(upstream.ratelimit_remaining)} pulls left`);
  }
  const card = make("div", "card", make("strong", "name", upstream.name), make("span", "", facts.join(" · ")));
  card.dataset.state = upstream.state;
  return card;
}

function storeCard(store) {
  const card = make("div", "card", make("strong", "name", store.place));
  if (store.kind === "registry") {
    card.append(make("span", "", "a registry keeps the images"));
    return card;
  }
  const text = `${size(store.bytes)} of ${size(store.max_bytes)}`;
  card.append(bar(store.bytes / store.max_bytes, text), make("span", "", `${text} · ${count(store.evictions)} evicted`));
  return card;
}

export function showUpstreams(status) {
  const cards = status.upstreams.map((upstream) => upstreamCard(upstream, status.now));
  document.getElementById("upstreams").replaceChildren(...cards, storeCard(status.store));
}
