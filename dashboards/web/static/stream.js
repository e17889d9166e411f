// Watches decisions as they are recorded, over interruptions.
import { heard } from "./clock.js";

const silence = 25_000; // heartbeats come every 10 s; after this long without any, the stream is taken for dead
const firstPause = 500, longestPause = 15_000;
const unseen = 30_000; // a browser has six connections to a server for all its tabs; a tab that nobody looks at gives its own back

// watch calls event with each event, in order, and state with true and false as the stream comes and goes, until signal.
export async function watch({ event, state, signal }) {
  let token = "", pause = firstPause;
  while (!signal.aborted) {
    const dead = new AbortController();
    const guard = { timer: 0 }, away = whenUnseen(() => dead.abort());
    const alive = () => {
      clearTimeout(guard.timer);
      guard.timer = setTimeout(() => dead.abort(), silence);
    };
    alive();
    try {
      await follow(token, AbortSignal.any([signal, dead.signal]), () => { alive(); pause = firstPause; state(true); }, (one) => {
        token = one.resumeToken || token;
        if (one.heartbeat) heard(one.heartbeat.at);
        event(one);
      });
    } catch { /* whatever it was, the stream is gone; it is tried again */ }
    clearTimeout(guard.timer);
    away();
    if (signal.aborted) return;
    state(false);
    if (document.hidden) await rest(2 ** 31 - 1, signal);
    else await rest(pause * (0.75 + Math.random() / 2), signal);
    pause = Math.min(pause * 2, longestPause);
  }
}

// follow reads one stream to its end: a JSON object per line.
async function follow(token, signal, heardFrom, event) {
  const response = await fetch(`api/decision/v1/watch?${new URLSearchParams(token ? { resumeToken: token } : {})}`, { signal, cache: "no-store" });
  if (!response.ok) throw new Error(`watch: ${response.status}`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    heardFrom();
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line) continue;
      const { result, error } = JSON.parse(line);
      if (error) throw new Error(error.message);
      event(result);
    }
  }
}

// rest waits, but not past the signal, and not past the moment that the browser finds its network or the reader comes back.
function rest(ms, signal) {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      for (const [of, what] of wakes) of.removeEventListener(what, end);
      done();
    };
    const wakes = [[signal, "abort"], [window, "online"], [document, "visibilitychange"]];
    const timer = setTimeout(end, ms);
    for (const [of, what] of wakes) of.addEventListener(what, end);
  });
}

// whenUnseen calls fn when the page has been out of sight for a while; what it returns ends that.
function whenUnseen(fn) {
  let timer = 0;
  const look = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(fn, unseen);
  };
  document.addEventListener("visibilitychange", look);
  look();
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
  };
}
