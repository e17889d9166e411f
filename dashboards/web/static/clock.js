// The server's clock, and times in the zone that the reader has chosen. Ages are by the server's clock: a laptop's may be off.
import { el } from "./dom.js";

let offset = 0; // milliseconds that the server is ahead
let local = false;
try {
  local = localStorage.getItem("flyball.zone") === "local";
} catch { /* storage is switched off */ }

// heard takes the time that an answer was made. It comes in whole seconds, so less than two are no difference.
export function heard(date) {
  const ahead = new Date(date).getTime() - Date.now();
  if (!Number.isNaN(ahead)) offset = Math.abs(ahead) < 2000 ? 0 : ahead;
}

export const now = () => Date.now() + offset;

// since is how many seconds ago a time was, not below 0.
export const since = (at) => Math.max(0, (now() - new Date(at).getTime()) / 1000);

export const isLocal = () => local;

export function toggleZone() {
  local = !local;
  try {
    localStorage.setItem("flyball.zone", local ? "local" : "utc");
  } catch { /* for this visit only */ }
}

export const zoneName = () => (local ? Intl.DateTimeFormat().resolvedOptions().timeZone : "UTC");

const formats = new Map();

function format(options) {
  const key = JSON.stringify([options, local]);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-GB", { ...options, timeZone: local ? undefined : "UTC" }));
  return formats.get(key);
}

// clockTime is the time of day, with the date if that is not today's.
export function clockTime(at) {
  const date = new Date(at);
  const day = format({ day: "numeric", month: "short" });
  const time = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(date);
  return day.format(date) === day.format(new Date(now())) ? time : `${day.format(date)} ${time}`;
}

// axisTime is a time as short as an axis can have it.
export function axisTime(ms, withSeconds) {
  return format({ hour: "2-digit", minute: "2-digit", second: withSeconds ? "2-digit" : undefined }).format(new Date(ms));
}

// at shows a time; the full one is in its title.
export function at(when) {
  return el("time", { datetime: when, title: `${when} (${zoneName()} shown)` }, clockTime(when));
}

// prose is a sentence of the API, with its times in the reader's zone.
export function prose(sentence) {
  const times = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;
  const parts = [];
  let done = 0;
  for (const found of sentence.matchAll(times)) {
    parts.push(sentence.slice(done, found.index), at(found[0]));
    done = found.index + found[0].length;
  }
  return [...parts, sentence.slice(done)];
}
