/** The fleet: its broker, queues and workers, and what they do. */

import { bar, make } from "./parts.js";
import { count, duration, moment, size } from "./words.js";

const MOST = 20;

function card(state, name, ...facts) {
  const element = make("div", "card", make("strong", "name", name), ...facts.map((fact) => make("span", "", fact)));
  element.dataset.state = state;
  return element;
}

function brokerCard(fleet) {
  if (fleet.broker === "away") {
    const element = card("down", "broker", `away since ${moment(fleet.since)}`, fleet.away);
    element.classList.add("wide");
    return element;
  }
  return card(fleet.broker, "broker", fleet.broker === "up" ? "up" : "not asked yet");
}

function queueCard(queue) {
  const waits = queue.queued ? `${count(queue.queued)} waiting, the oldest for ${duration(queue.oldest_seconds)}` : "empty";
  return card("", `queue ${queue.name}`, waits);
}

function workersCard(fleet) {
  const { workers } = fleet;
  if (!workers.length) return card("down", "workers", "none runs");
  const places = workers.reduce((total, worker) => total + worker.processes, 0);
  const element = card("up", "workers", `${count(workers.length)}, with ${count(fleet.counts.running)} of ${count(places)} places in use`);
  element.title = workers.map((worker) => `${worker.name} (${worker.version})`).join("\n");
  return element;
}

function deliveriesCard(fleet) {
  const again = fleet.redeliveries ? `${count(fleet.redeliveries)} of them again` : "none of them again";
  const leader = fleet.leader ? [`the schedules run on ${fleet.leader}`] : [];
  return card("", "handed to workers", `${count(fleet.deliveries)} jobs, ${again}`, ...leader);
}

function waitCards(fleet) {
  return Object.entries(fleet.registry_waits)
    .filter(([, seconds]) => seconds >= 1)
    .map(([registry, seconds]) => card("throttled", registry, `workers waited ${duration(seconds)} for its rate`));
}

function runningLine(job) {
  const facts = [`runs for ${duration(job.age)} on ${job.worker}`];
  if (job.done) facts.push(`${size(job.done)} moved`);
  if (job.deliveries > 1) facts.push(`attempt ${job.deliveries}`);
  const share = job.total ? job.done / job.total : 0;
  const percent = `${Math.round(100 * Math.min(1, share))} %`;
  const name = make("strong", "name", `${job.kind} ${job.title}`);
  return make("li", "running", name, bar(share, percent), make("span", "quiet", facts.join(" · ")));
}

function queuedLine(job) {
  const waits = `waits for ${duration(job.age)} in ${job.queue}`;
  const facts = job.waits_for ? `${waits}: ${job.waits_for}` : waits;
  return make("li", "waiting", make("strong", "name", `${job.kind} ${job.title}`), make("span", "", ""), make("span", "quiet", facts));
}

function troubleLine(job, what) {
  const time = make("time", "quiet", `${what} ${duration(job.age)} ago`);
  const more = what === "parked" ? `${job.error ?? ""} (job ${job.id}, tried ${count(job.deliveries)} times)` : job.error ?? "";
  return make("li", what, time, make("strong", "name", `${job.kind} ${job.title}`), make("span", "", more));
}

function list(name, lines, hidden) {
  if (!lines.length) return [];
  const more = hidden > 0 ? [make("li", "more", make("span", "quiet", `and ${count(hidden)} more`))] : [];
  return [make("ul", name, ...lines, ...more)];
}

function jobLists(fleet) {
  const active = [...fleet.running.map(runningLine), ...fleet.queued.map(queuedLine)];
  const trouble = [
    ...fleet.parked.map((job) => troubleLine(job, "parked")),
    ...fleet.failed.map((job) => troubleLine(job, "failed")),
  ];
  const { running, queued, parked, failed } = fleet.counts;
  const shown = [active.slice(0, MOST), trouble.slice(0, MOST)];
  return [
    ...list("jobs", shown[0], running + queued - shown[0].length),
    ...list("errors", shown[1], parked + failed - shown[1].length),
  ];
}

export function showFleet(status) {
  const { fleet } = status;
  document.getElementById("fleet-section").hidden = !fleet;
  if (!fleet) return;
  const known = fleet.broker === "up";
  const cards = [brokerCard(fleet)];
  if (known) {
    cards.push(workersCard(fleet), ...fleet.queues.map(queueCard), deliveriesCard(fleet), ...waitCards(fleet));
  }
  document.getElementById("fleet").replaceChildren(...cards);
  document.getElementById("fleet-jobs").replaceChildren(...(known ? jobLists(fleet) : []));
}
