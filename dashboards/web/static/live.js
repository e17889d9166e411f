// The fleet as it is known: a list that is asked for now and then, and the stream of decisions between.
import * as api from "./api.js";
import { since } from "./clock.js";
import { keyOf } from "./model.js";
import { watch } from "./stream.js";

// fleet has the autoscalers by namespace/name. error says why the list could not be had; listed is when it was last, 0 for never.
export const fleet = { all: new Map(), listed: 0, error: "" };

// stream says whether decisions arrive, and when the last sign of life was, in this browser's milliseconds.
export const stream = { live: false, begun: false, heard: Date.now() };

// shownAge is how many seconds ago anything was heard from flyball.
export const shownAge = () => (Date.now() - Math.max(stream.heard, fleet.listed)) / 1000;

const toldOf = new Set(); // told which autoscalers changed, as a set of names, or null for any of them; once per frame
const toldEvents = new Set(); // told each decision as it arrives
const toldStream = new Set(); // told when the stream comes or goes

const subscribe = (set) => (fn) => {
  set.add(fn);
  return () => set.delete(fn);
};
export const onFleet = subscribe(toldOf);
export const onDecision = subscribe(toldEvents);
export const onStream = subscribe(toldStream);

let changed = new Set(), everything = false, frame = 0;

// mark has what changed told with the next frame, however much it is.
function mark(key) {
  if (key === null) everything = true;
  else changed.add(key);
  frame ||= requestAnimationFrame(() => {
    const what = everything ? null : changed;
    frame = 0;
    everything = false;
    changed = new Set();
    for (const fn of toldOf) fn(what);
  });
}

// The list is what has ready pods and inputs, which the stream has not. Of a large fleet it is asked for less often.
const pauseOf = () => Math.max(5000, fleet.all.size * 30);
let timer = 0, asking = null;

// reload asks for the list now. Who asks while it is asked for gets the same answer.
export function reload() {
  clearTimeout(timer);
  asking ??= list().finally(() => {
    asking = null;
    timer = setTimeout(() => (document.hidden ? undefined : reload()), pauseOf());
  });
  return asking;
}

async function list() {
  try {
    const all = await api.autoscalers();
    const before = fleet.all;
    fleet.all = new Map(all.map((a) => {
      // A decision that the stream brought while the list was under way is newer than the list's.
      const known = before.get(keyOf(a))?.decision;
      if (known && a.decision && new Date(known.at) > new Date(a.decision.at)) a.decision = known;
      return [keyOf(a), { ...a, age: a.decision ? since(a.decision.at) : 0 }];
    }));
    fleet.listed = Date.now();
    fleet.error = "";
  } catch (err) {
    fleet.error = err.message;
  }
  mark(null);
}

// ageOf is how old an autoscaler's decision was when it was last seen. It does not grow between two looks: that nothing was
// looked up is no fault of the autoscaler, and the page says of itself when it is out of date.
export const ageOf = (a) => a.age;

function take(one) {
  stream.heard = Date.now();
  if (one.decision) {
    const key = keyOf(one.decision);
    const known = fleet.all.get(key);
    if (known) {
      Object.assign(known, { decision: one.decision, error: "", age: since(one.decision.at) });
      mark(key);
    } else if (fleet.listed) {
      soon();
    }
    for (const fn of toldEvents) fn(one.decision, one.skipped ?? 0);
  } else if (one.removed) {
    fleet.all.delete(keyOf(one.removed));
    mark(null);
  } else if (one.synced && !one.synced.resumed && stream.begun) {
    soon();
  }
}

let later = 0;

// soon reloads in a moment, since who comes seldom comes alone.
function soon() {
  later ||= setTimeout(() => {
    later = 0;
    reload();
  }, 300);
}

// start begins to ask and to watch, for as long as the page is open.
export function start() {
  reload();
  document.addEventListener("visibilitychange", () => { if (!document.hidden) reload(); });
  watch({
    signal: new AbortController().signal,
    event: take,
    state: (live) => {
      const came = live && !stream.live;
      if (live) stream.heard = Date.now();
      if (stream.live === live && stream.begun) return;
      stream.live = live;
      if (came && stream.begun) soon();
      stream.begun = true;
      for (const fn of toldStream) fn();
    },
  });
}
