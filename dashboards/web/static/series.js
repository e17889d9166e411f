// What flyball has stored of an autoscaler over a stretch of time, on a grid of times, from its own series. A time without a
// sample is null, and is drawn as a gap.
import * as api from "./api.js";
import { matcher } from "./format.js";

const mostPoints = 720;
const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600];

export const stepOf = (length) => steps.find((s) => length / s <= mostPoints) ?? steps.at(-1);

const gauges = {
  wanted: "flyball_autoscaler_wanted_replicas", replicas: "flyball_autoscaler_replicas", ready: "flyball_autoscaler_ready_replicas",
  min: "flyball_autoscaler_min_replicas", max: "flyball_autoscaler_max_replicas", panic: "flyball_autoscaler_panic",
};

// queries are the PromQL of each series. Between two points far apart the highest value counts, so that no burst is lost.
export function queries(who, step) {
  const of = (metric) => `${metric}{job="flyball",${matcher("namespace", who.namespace)},${matcher("name", who.name)}}`;
  const ask = (metric) => (step <= 2 ? of(metric) : `max_over_time(${of(metric)}[${step}s])`);
  const all = Object.fromEntries(Object.entries(gauges).map(([key, metric]) => [key, ask(metric)]));
  return { ...all, value: ask("flyball_source_value"), target: ask("flyball_source_target") };
}

// load asks for all of it, from end - length to end, in seconds. sources has, by name, stable, panic and target.
export async function load(who, length, end, signal) {
  const step = stepOf(length);
  const last = Math.floor(end / step) * step, first = last - Math.floor(length / step) * step;
  const times = Array.from({ length: (last - first) / step + 1 }, (_, i) => first + i * step);
  const asked = Object.entries(queries(who, step));
  const answers = await Promise.all(asked.map(([, query]) => api.range(query, first, last, step, signal)));
  const past = { times, step, first, last, sources: new Map() };
  asked.forEach(([key], i) => {
    if (key in gauges) past[key] = onGrid(past, answers[i][0]);
    else for (const one of answers[i]) sourceOf(past, one.metric.source)[key === "target" ? "target" : one.metric.window] = onGrid(past, one);
  });
  return past;
}

function sourceOf(past, name) {
  if (!past.sources.has(name)) past.sources.set(name, { stable: nothing(past), panic: nothing(past), target: nothing(past) });
  return past.sources.get(name);
}

const nothing = (past) => past.times.map(() => null);

function onGrid(past, one) {
  const row = nothing(past);
  for (const [t, v] of one?.values ?? []) {
    const i = Math.round((t - past.first) / past.step);
    if (i >= 0 && i < row.length && Number.isFinite(Number(v))) row[i] = Number(v);
  }
  return row;
}

// different puts a backtest's steps on the grid, the highest count of each stretch between two points.
export function different(past, backtest) {
  const row = nothing(past);
  for (const s of backtest.steps) {
    const i = Math.ceil((new Date(s.at).getTime() / 1000 - past.first) / past.step);
    if (i >= 0 && i < row.length) row[i] = Math.max(row[i] ?? 0, s.to);
  }
  // Decisions may be further apart than points; until the next one, the last counts.
  const times = backtest.steps.map((s) => new Date(s.at).getTime() / 1000);
  const apart = Math.min(...times.slice(1).map((t, i) => t - times[i]), 10);
  for (let i = 1, held = 0; i < row.length; i++) {
    held = row[i] === null ? held + past.step : 0;
    if (row[i] === null && row[i - 1] !== null && held < apart) row[i] = row[i - 1];
  }
  return row;
}
