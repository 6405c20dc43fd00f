/** What `GET /v1/history` tells: which times are recorded, and where records are missing. */

import { fields, list, nullable, number, text } from "./feed/fields";

export interface Session {
  readonly source: string;
  readonly start: bigint;
  readonly end: bigint;
  readonly records: number;
}

export interface Hole {
  readonly start: bigint;
  readonly end: bigint;
  readonly records: number;
  readonly reason: string;
}

export interface History {
  /** As `/v1/metrics` has it: recording, failing, … */
  readonly state: string;
  readonly records: number;
  /** Oldest first. One in which nothing has been recorded yet is left out. */
  readonly sessions: readonly Session[];
  readonly holes: readonly Hole[];
}

export function parseHistory(value: unknown): History {
  const history = fields(value, "history");
  return {
    state: text(history["state"], "history.state"),
    records: number(history["records"], "history.records"),
    sessions: list(history["sessions"], "history.sessions").flatMap((entry, index) => {
      const where = `history.sessions[${index}]`;
      const session = fields(entry, where);
      const range = rangeOf(session, where);
      const source = text(session["source"], `${where}.source`);
      return range === null ? [] : [{ ...range, source, records: number(session["records"], `${where}.records`) }];
    }),
    holes: list(history["holes"], "history.holes").flatMap((entry, index) => {
      const where = `history.holes[${index}]`;
      const hole = fields(entry, where);
      const range = rangeOf(hole, where);
      const reason = text(hole["reason"], `${where}.reason`);
      return range === null ? [] : [{ ...range, reason, records: number(hole["records"], `${where}.records`) }];
    }),
  };
}

/** Null where a time is not known. */
function rangeOf(entry: Readonly<Record<string, unknown>>, where: string): { start: bigint; end: bigint } | null {
  const time = (name: string): bigint | null => {
    const digits = nullable(entry[name], `${where}.${name}`, text);
    return digits !== null && /^\d+$/.test(digits) ? BigInt(digits) : null;
  };
  const [start, end] = [time("start"), time("end")];
  return start === null || end === null ? null : { start, end: end < start ? start : end };
}
