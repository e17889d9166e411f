// Asks flyball's public APIs. Addresses are relative to the page, so that they go where it came from, through any proxy.
import { heard } from "./clock.js";

// APIError is an answer that says no. fields are what it says of each field of the request.
export class APIError extends Error {
  constructor(message, status = 0, fields = []) {
    super(message);
    this.status = status; // 0: no answer at all
    this.fields = fields; // [{field, description}]
  }
}

async function ask(path, init = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...init });
  } catch (err) {
    if (init.signal?.aborted) throw err;
    throw new APIError("flyball does not answer");
  }
  if (response.headers.has("Date")) heard(response.headers.get("Date"));
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  let body = {};
  try {
    body = await response.json();
  } catch { /* a proxy's page, most likely */ }
  const fields = (body.details ?? []).flatMap((d) => d.fieldViolations ?? []);
  const message = body.message ?? body.error ?? `the answer was ${response.status} ${response.statusText}`;
  return new APIError(response.status === 501 ? "this version of flyball cannot answer that" : message, response.status, fields);
}

const get = async (path, signal) => (await ask(path, { signal })).json();

function parameters(all) {
  const p = new URLSearchParams();
  for (const [key, value] of Object.entries(all)) if (value !== undefined && value !== "") p.set(key, value);
  return p;
}

const decisions = "api/decision/v1/";
const named = (a) => `${decisions}autoscalers/${encodeURIComponent(a.namespace)}/${encodeURIComponent(a.name)}`;

// autoscalers lists all, page by page.
export async function autoscalers(signal) {
  const all = [];
  for (let token = ""; ;) {
    const page = await get(`${decisions}autoscalers?${parameters({ pageSize: 1000, pageToken: token })}`, signal);
    all.push(...page.autoscalers);
    token = page.nextPageToken;
    if (!token) return all;
  }
}

export const autoscaler = async (who, signal) => (await get(named(who), signal)).autoscaler;
export const explanation = (who, signal) => get(`${named(who)}/explanation`, signal);
export const explanationOf = (id, signal) => get(`${decisions}decisions/${encodeURIComponent(id)}`, signal);
export const findings = async (who, signal) => (await get(`${decisions}findings?${parameters(who ?? {})}`, signal)).findings;
export const build = async () => (await get("api/v1/status/buildinfo")).data;

// history is what was decided from start to end, oldest first. Of very much, the newest is left out and whole is false.
const mostPages = 5;
export async function history(who, start, end, signal) {
  const all = [];
  for (let token = "", page = 0; page < mostPages; page++) {
    const answer = await get(`${named(who)}/decisions?${parameters({
      startTime: new Date(start).toISOString(), endTime: new Date(end).toISOString(), pageSize: 1000, pageToken: token,
    })}`, signal);
    all.push(...answer.decisions);
    token = answer.nextPageToken;
    if (!token) return { decisions: all, whole: true };
  }
  return { decisions: all, whole: false };
}

export async function backtest(who, request, signal) {
  const headers = { "Content-Type": "application/json" };
  return (await ask(`${named(who)}/backtest`, { method: "POST", headers, body: JSON.stringify(request), signal })).json();
}

// range asks a PromQL query over a stretch of time; times are in seconds.
export async function range(query, start, end, step, signal) {
  return (await get(`api/v1/query_range?${parameters({ query, start, end, step })}`, signal)).data.result;
}

export const endpoints = async (signal) => (await get("api/v1/targets", signal)).data.activeTargets;
