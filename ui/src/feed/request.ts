/** One request of the HTTP contract, with every outcome as a value. */

import { parseProblem, type Problem } from "./wire";

/** Longer than any answer of a healthy server; a hung one is then found out. */
export const REQUEST_TIMEOUT_MS = 5_000;

export type Answer =
  | { readonly kind: "ok"; readonly body: unknown; readonly etag: string | null }
  | { readonly kind: "unchanged" }
  /** The server answered, and said no. */
  | {
      readonly kind: "refused";
      readonly problem: Problem;
      /** When it is worth another try, as far as the server says. */
      readonly retryAfterMs: number | null;
    }
  /** No answer. */
  | { readonly kind: "failed"; readonly reason: string }
  /** We gave it up ourselves. */
  | { readonly kind: "aborted" };

export interface RequestOptions {
  readonly method: "GET" | "POST";
  readonly etag: string | null;
  /** The API key, if there is one: in a header, never in an address. */
  readonly key: string | null;
  readonly abort: AbortSignal;
  readonly timeoutMs: number;
}

export async function request(url: string, options: RequestOptions): Promise<Answer> {
  const { method, etag, key, abort, timeoutMs } = options;
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      method,
      headers: {
        Accept: "application/json",
        ...(etag === null ? {} : { "If-None-Match": etag }),
        ...(key === null ? {} : { Authorization: `Bearer ${key}` }),
      },
      // The ETag is ours to send; the browser's own cache would only keep a second copy of every book.
      cache: "no-store",
      signal: AbortSignal.any([abort, timeout]),
    });
    if (response.status === 304) return { kind: "unchanged" };
    const text = await response.text();
    if (!response.ok) {
      const retryAfterMs = secondsToMs(response.headers.get("Retry-After"));
      return { kind: "refused", problem: parseProblem(response.status, tryJson(text)), retryAfterMs };
    }
    return { kind: "ok", body: JSON.parse(text) as unknown, etag: response.headers.get("ETag") };
  } catch (error) {
    if (abort.aborted) return { kind: "aborted" };
    if (timeout.aborted) return { kind: "failed", reason: `no answer within ${timeoutMs / 1000} s` };
    if (error instanceof SyntaxError) return { kind: "failed", reason: `the answer is not JSON: ${error.message}` };
    return { kind: "failed", reason: "the server cannot be reached" };
  }
}

/** `Retry-After` as our server has it; a date, as a proxy may send, says nothing here. */
function secondsToMs(seconds: string | null): number | null {
  return seconds !== null && /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1_000 : null;
}

/** A proxy's error page is no JSON, and its status says enough. */
function tryJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

const NEVER = new AbortController().signal;

/** A single GET, for what is asked for once. */
export async function get(url: string, key: string | null): Promise<Exclude<Answer, { kind: "aborted" | "unchanged" }>> {
  const answer = await request(url, { method: "GET", etag: null, key, abort: NEVER, timeoutMs: REQUEST_TIMEOUT_MS });
  if (answer.kind === "aborted" || answer.kind === "unchanged") return { kind: "failed", reason: `unexpectedly ${answer.kind}` };
  return answer;
}
