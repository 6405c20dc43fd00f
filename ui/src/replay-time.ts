/** Times as people type them, exact to the nanosecond: no float ever holds one. */

export type TypedTime = { readonly ns: bigint } | { readonly problem: string };

export const NS_PER_S = 1_000_000_000n;
export const NS_PER_MS = 1_000_000n;
/** The largest u64 is DBN's mark for no time. */
const TIME_MAX_NS = 2n ** 64n - 2n;

const UNITS_NS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  "µs": 1_000n,
  ms: NS_PER_MS,
  s: NS_PER_S,
  m: 60n * NS_PER_S,
  min: 60n * NS_PER_S,
  h: 3_600n * NS_PER_S,
  d: 86_400n * NS_PER_S,
};

const RELATIVE = /^([+\-−])\s*(\d+)(?:\.(\d{1,9}))?\s*(ns|us|µs|ms|s|min|m|h|d)$/;
const CLOCK = String.raw`(?<hour>\d{2}):(?<minute>\d{2})(?::(?<second>\d{2})(?:[.,](?<fraction>\d{1,9}))?)?`;
const ZONE = String.raw`\s*(?<zone>Z|UTC|local|[+-]\d{2}(?::?\d{2})?)?`;
const DATED = new RegExp(String.raw`^(?<year>\d{4})-(?<month>\d{2})-(?<day>\d{2})(?:[T ]${CLOCK}${ZONE})?$`, "i");
const TIME_OF_DAY = new RegExp(`^${CLOCK}${ZONE}$`, "i");

export const TYPED_TIME_HELP =
  "a time such as 2025-09-24 21:47:00.5 (UTC; or with an offset, or local), 21:47:00 of the day shown, +1.5s or -2m from the time shown, or nanoseconds since 1970";

/** `shown`: the time that a time of day or a difference counts from. */
export function parseTypedTime(typed: string, shown: bigint | null): TypedTime {
  const text = typed.trim();
  const ns = parse(text, shown);
  if (ns === null) return { problem: `"${text}" is no time: expected ${TYPED_TIME_HELP}` };
  if (ns < 0n || ns > TIME_MAX_NS) return { problem: `"${text}" is before 1970 or after 2554` };
  return { ns };
}

function parse(text: string, shown: bigint | null): bigint | null {
  if (/^\d{1,20}$/.test(text)) return BigInt(text);
  const relative = RELATIVE.exec(text);
  if (relative !== null) return shown === null ? null : shown + difference(relative);
  const dated = DATED.exec(text)?.groups;
  if (dated !== undefined) return at(Number(dated["year"]), Number(dated["month"]), Number(dated["day"]), dated);
  const clock = TIME_OF_DAY.exec(text)?.groups;
  if (clock === undefined || shown === null) return null;
  const day = new Date(Number(shown / NS_PER_MS));
  return clock["zone"]?.toLowerCase() === "local"
    ? at(day.getFullYear(), day.getMonth() + 1, day.getDate(), clock)
    : at(day.getUTCFullYear(), day.getUTCMonth() + 1, day.getUTCDate(), clock);
}

function difference([, sign, whole = "0", fraction = "", unit = "s"]: RegExpExecArray): bigint {
  const size = UNITS_NS[unit] ?? NS_PER_S;
  const ns = BigInt(whole) * size + (BigInt(fraction.padEnd(9, "0")) * size) / NS_PER_S;
  return sign === "+" ? ns : -ns;
}

/** Null for what no calendar or clock has. */
function at(year: number, month: number, day: number, clock: Readonly<Record<string, string | undefined>>): bigint | null {
  const [hour, minute, second] = [clock["hour"], clock["minute"], clock["second"]].map((part) => Number(part ?? 0));
  if (hour === undefined || minute === undefined || second === undefined) return null;
  if (hour > 23 || minute > 59 || second > 59) return null;
  const midnightMs = Date.UTC(year, month - 1, day);
  const read = new Date(midnightMs);
  if (read.getUTCMonth() !== month - 1 || read.getUTCDate() !== day) return null;
  const zone = clock["zone"]?.toLowerCase();
  const offsetS = offsetOf(zone);
  if (offsetS === null) return null;
  const wholeMs =
    zone === "local"
      ? new Date(year, month - 1, day, hour, minute, second).getTime()
      : midnightMs + ((hour * 60 + minute) * 60 + second - offsetS) * 1000;
  return BigInt(wholeMs) * NS_PER_MS + BigInt((clock["fraction"] ?? "").padEnd(9, "0"));
}

function offsetOf(zone: string | undefined): number | null {
  if (zone === undefined || zone === "z" || zone === "utc" || zone === "local") return 0;
  const digits = zone.slice(1).replace(":", "").padEnd(4, "0");
  const [hours, minutes] = [Number(digits.slice(0, 2)), Number(digits.slice(2))];
  if (hours > 23 || minutes > 59) return null;
  return (hours * 60 + minutes) * 60 * (zone.startsWith("-") ? -1 : 1);
}

/** How far apart two times are, as people say it: "350 ms", "4.2 s", "3 min 20 s", "2 d 04 h". */
export function formatSpan(ns: bigint): string {
  const absolute = ns < 0n ? -ns : ns;
  if (absolute < NS_PER_MS) return `${absolute} ns`;
  if (absolute < NS_PER_S) return `${absolute / NS_PER_MS} ms`;
  const seconds = absolute / NS_PER_S;
  if (seconds < 60n) return `${seconds}.${(absolute % NS_PER_S) / 100_000_000n} s`;
  const two = (value: bigint): string => value.toString().padStart(2, "0");
  if (seconds < 3600n) return `${seconds / 60n} min ${two(seconds % 60n)} s`;
  if (seconds < 86_400n) return `${seconds / 3600n} h ${two((seconds / 60n) % 60n)} min`;
  return `${seconds / 86_400n} d ${two((seconds / 3600n) % 24n)} h`;
}
