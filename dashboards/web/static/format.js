// Numbers, durations and counts as words. Nothing here knows the page or the time.

// number has four digits, or all of those before the point, as the command line has.
export function number(x) {
  if (x === null || x === undefined || Number.isNaN(x)) return "no data";
  const size = Math.abs(x);
  return size >= 1000 && size < 1e15 ? x.toFixed(0) : String(Number(x.toPrecision(4)));
}

// percent rounds down: 99.6 % is not whole.
export function percent(ratio) {
  return `${Math.floor(ratio * 100 + 1e-6)} %`;
}

// seconds reads a duration as the API writes it, such as "12s" or "0.020s".
export function seconds(duration) {
  return duration === undefined || duration === null ? null : Number.parseFloat(duration);
}

// span is a length of time: tenths below ten seconds, then the two largest units.
export function span(s) {
  if (s === null || s === undefined) return "";
  if (s < 10) return `${Math.round(s * 10) / 10} s`;
  let left = Math.round(s);
  const parts = [];
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    if (left >= size) {
      parts.push(`${Math.floor(left / size)} ${unit}`);
      left %= size;
    }
  }
  return parts.slice(0, 2).join(" ");
}

// age is span in whole seconds, for what changes while one looks at it.
export function age(s) {
  return span(s < 10 ? Math.max(0, Math.floor(s)) : s);
}

// plural is a count of things.
export function plural(n, one, many = `${one}s`) {
  return `${n} ${n === 1 ? one : many}`;
}

// word turns an enum of the API into what one reads: WINDOW_STATE_NO_PODS is "no pods".
export function word(name, prefix) {
  return (name ?? "").replace(prefix, "").replaceAll("_", " ").toLowerCase();
}

// matcher is a PromQL matcher of one value.
export function matcher(label, value) {
  return `${label}=${JSON.stringify(value)}`;
}

// lengthOf reads a length of time as people write it: 90, 90s, 5m, 1h30m. NaN if it is none.
export function lengthOf(written) {
  const s = written.trim();
  if (/^\d+(\.\d+)?$/.test(s)) return Number(s);
  if (!/^(\d+(\.\d+)?(h|m|s))+$/.test(s)) return NaN;
  let sum = 0;
  for (const [, n, unit] of s.matchAll(/(\d+(?:\.\d+)?)(h|m|s)/g)) sum += Number(n) * { h: 3600, m: 60, s: 1 }[unit];
  return sum;
}
