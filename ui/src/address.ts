/** What the address of the page says after its #: the instrument, a time of the past, and the view; to be passed on. */

export const VIEWS = ["book", "performance"] as const;
export type View = (typeof VIEWS)[number];

export interface Address {
  readonly instrument: string | null;
  /** ISO 8601 or ns; null: now. */
  readonly at: string | null;
  readonly view: View;
}

const NAMED = /(?:^|&)(?:instrument|at|view)=/;
const NS_PER_MS = 1_000_000n;
const NS_PER_S = 1_000_000_000n;

/** Of `#SYN0`, or of `#instrument=SYN0&at=2025-09-24T21:47:00Z&view=performance`. */
export function parseAddress(hash: string): Address {
  const text = hash.replace(/^#/, "");
  if (!NAMED.test(text)) return { instrument: text === "" ? null : decoded(text), at: null, view: "book" };
  const named = new Map(
    text.split("&").map((part) => {
      const [name = "", ...value] = part.split("=");
      return [name, decoded(value.join("="))];
    }),
  );
  const value = (name: string): string | null => {
    const found = named.get(name) ?? "";
    return found === "" ? null : found;
  };
  return {
    instrument: value("instrument"),
    at: value("at"),
    view: VIEWS.find((view) => view === named.get("view")) ?? "book",
  };
}

/** Without the #; an instrument alone is written alone. */
export function formatAddress({ instrument, at, view }: Address): string {
  if (at === null && view === "book") return encoded(instrument ?? "");
  const parts = [
    instrument === null ? null : `instrument=${encoded(instrument)}`,
    at === null ? null : `at=${encoded(at)}`,
    view === "book" ? null : `view=${view}`,
  ];
  return parts.filter((part) => part !== null).join("&");
}

/** A time in ns as ISO 8601, exact: people can read it, and the server takes it. */
export function isoTime(ns: string): string {
  const value = BigInt(ns);
  const seconds = new Date(Number(value / NS_PER_MS)).toISOString().slice(0, 19);
  const fraction = (value % NS_PER_S).toString().padStart(9, "0").replace(/0+$/, "");
  return `${seconds}${fraction === "" ? "" : `.${fraction}`}Z`;
}

/** What the server says of a time, in words for a reader: times as times, and none of the names that programs know. */
export function timesWritten(detail: string): string {
  return detail
    .replace(/^(?:from|at): /, "")
    .replace(/\btime (\d{1,20})(?!\d)|\bat (\d{16,20})(?!\d)/g, (_, time?: string, at?: string) => `${at === undefined ? "time" : "at"} ${isoTime(time ?? at ?? "0")}`)
    .replace(/(begins at \S+) \(ts_event, ns\)/, "$1; expected a time from then on");
}

/** A colon means nothing behind the #, and is read more easily as it is. */
function encoded(text: string): string {
  return encodeURIComponent(text).replaceAll("%3A", ":");
}

/** A hand-typed address may hold a percent sign that encodes nothing; it is then taken as it stands. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
