/** One resource asked for again and again, one request in flight, each a fixed interval after the one before. */

import { request, type Answer } from "./request";

export interface PollerSettings {
  /** The address now, or null when there is nothing to ask for. */
  readonly url: () => string | null;
  readonly key: () => string | null;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Sees every outcome except our own aborts; the answer is the wait in ms before the next request, null to stop. */
  readonly onAnswer: (answer: Exclude<Answer, { kind: "aborted" }>) => number | null;
}

export class Poller {
  readonly #settings: PollerSettings;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #abort: AbortController | null = null;
  #etag: string | null = null;

  constructor(settings: PollerSettings) {
    this.#settings = settings;
  }

  /** Asks at once, forgetting what was known: for a start and for another address. */
  restart(): void {
    this.stop();
    this.#etag = null;
    void this.#run(new AbortController());
  }

  /** Asks at once, unless it has been asked or told already since it stopped. */
  resume(): void {
    if (this.#abort === null) this.restart();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#abort?.abort();
    this.#abort = null;
  }

  async #run(abort: AbortController): Promise<void> {
    const url = this.#settings.url();
    if (url === null) return;
    this.#abort = abort;
    const startedMs = performance.now();
    const { timeoutMs } = this.#settings;
    const options = { method: "GET", etag: this.#etag, key: this.#settings.key(), abort: abort.signal, timeoutMs } as const;
    const answer = await request(url, options);
    // A restart while we waited has put another run in our place.
    if (abort.signal.aborted || answer.kind === "aborted") return;
    if (answer.kind === "ok") this.#etag = answer.etag;
    else if (answer.kind !== "unchanged") this.#etag = null;
    const waitMs = this.#settings.onAnswer(answer);
    // The handler may have stopped or restarted us, which has aborted this run.
    if (waitMs === null || this.#abort !== abort) return;
    const elapsedMs = performance.now() - startedMs;
    this.#timer = setTimeout(() => void this.#run(abort), Math.max(0, waitMs - elapsedMs));
  }
}
