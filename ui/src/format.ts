/** Numbers, durations and times as the page writes them. A missing value is an en dash, never a zero. */

export const MISSING = "–";

const NS_PER_MS = 1_000_000n;
const NS_PER_S = 1_000_000_000n;
/** Databento's UNDEF_TIMESTAMP. */
const UNDEF_TIMESTAMP = 2n ** 64n - 1n;
/** The latest instant that a JavaScript Date can hold, in ns. */
const DATE_MAX_NS = 8_640_000_000_000_000n * NS_PER_MS;

const grouped = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

/** A number or a price as people read it: a minus sign for the hyphen that programs write. */
export function withMinus(text: string): string {
  return text.replace("-", "−");
}

/** A whole number with thousands separators. */
export function formatInteger(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  // Most numbers are small, and there are hundreds to write at a time.
  return Number.isInteger(value) && value >= 0 && value < 1_000 ? String(value) : withMinus(grouped.format(value));
}

/** A rate or a large count in three significant digits: 1 234 567 → "1.23M". */
export function formatCompact(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  const units: [number, string][] = [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ];
  const magnitude = Math.abs(value);
  for (const [size, suffix] of units) {
    // 999 950 rounds to 1 000 k; the next unit up takes it from 999.5 on.
    if (magnitude >= size * 0.9995) return `${threeDigits(value / size)}${suffix}`;
  }
  return withMinus(magnitude < 10 && !Number.isInteger(value) ? value.toFixed(1) : Math.round(value).toString());
}

/** Bytes per second: 561 000 → "561 kB/s". */
export function formatByteRate(value: number | null | undefined): string {
  const text = formatCompact(value);
  return text === MISSING ? text : text.replace(/[kMG]?$/, " $&B/s");
}

/** A duration in ns, in the unit that reads best: "80 ns", "1.25 µs", "3.40 ms". */
export function formatDuration(ns: number | null | undefined): string {
  if (ns === null || ns === undefined || !Number.isFinite(ns)) return MISSING;
  if (ns < 999.5) return `${withMinus(String(Math.round(ns)))} ns`;
  if (ns < 999_500) return `${threeDigits(ns / 1e3)} µs`;
  if (ns < 999_500_000) return `${threeDigits(ns / 1e6)} ms`;
  return `${threeDigits(ns / 1e9)} s`;
}

/** An axis label: "10.0k" → "10k", "2.50 µs" → "2.5 µs". */
export function trimZeros(text: string): string {
  return text.replace(/(\.\d*?)0+(?!\d)/, (_, digits: string) => (digits === "." ? "" : digits));
}

function threeDigits(value: number): string {
  const magnitude = Math.abs(value);
  return withMinus(value.toFixed(magnitude < 9.995 ? 2 : magnitude < 99.95 ? 1 : 0));
}

/** Seconds as people say them: "45 s", "12 min 05 s", "3 h 07 min", "2 d 04 h". */
export function formatUptime(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  const two = (value: number): string => value.toString().padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86_400)} d ${two(Math.floor((whole % 86_400) / 3600))} h`;
}

/** A venue time in milliseconds to read, and exact to the nanosecond for who asks. */
export interface VenueTime {
  readonly short: string;
  readonly exact: string;
}

/** `ns` is a UNIX time in nanoseconds as a string, because it exceeds 2^53. */
export function formatTime(ns: string): VenueTime {
  if (!/^\d+$/.test(ns)) return { short: MISSING, exact: "no time" };
  const value = BigInt(ns);
  if (value === 0n || value === UNDEF_TIMESTAMP || value > DATE_MAX_NS) return { short: MISSING, exact: "no time" };
  const iso = new Date(Number(value / NS_PER_MS)).toISOString();
  const nanoseconds = (value % NS_PER_S).toString().padStart(9, "0");
  return {
    short: `${iso.slice(0, 10)} ${iso.slice(11, 23)} UTC`,
    exact: `${iso.slice(0, 19)}.${nanoseconds}Z · ${ns} ns`,
  };
}

/** "1 order", "2 orders". */
export function plural(count: number, noun: string): string {
  return `${formatInteger(count)} ${noun}${count === 1 ? "" : "s"}`;
}
