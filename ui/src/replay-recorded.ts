/** What is recorded, asked for now and then, and what to say where nothing is. */

import type { Answer } from "./feed/request";
import type { Metrics } from "./feed/wire";
import { parseHistory } from "./replay-history";
import { RecordedLine } from "./replay-line";
import { NS_PER_MS } from "./replay-time";

/** The end of what is recorded moves on. */
const INTERVAL_MS = 5_000;
/** States of the recording in which there is no history to ask for, as `/v1/metrics` tells them. */
const WITHOUT = ["off", "taken", "unavailable"];
const HTTP_NOT_IMPLEMENTED = 501;

export class Recorded {
  /** Null: not told yet, or there is none. */
  line: RecordedLine | null = null;
  /** Why there is no line, or why it is not known any more; null: nothing to say. */
  problem: string | null = null;
  /** The server keeps no history. */
  isNone = false;
  readonly #request: (path: string) => Promise<Answer>;
  readonly #changed: () => void;
  #askedAtMs = -Infinity;
  /** When the line was told, on the clock of `performance.now()`. */
  #toldAtMs = 0;
  /** How fast its end moves, ns in a ms: a market that is made up, or played, has a pace of its own. */
  #pace = Number(NS_PER_MS);
  #isAsking = false;

  /** `changed`: another line, or another problem. */
  constructor(request: (path: string) => Promise<Answer>, changed: () => void) {
    this.#request = request;
    this.#changed = changed;
  }

  /** The newest record of a recording that goes on as it did between the last two answers. */
  endAt(nowMs: number): bigint {
    return (this.line?.end ?? 0n) + BigInt(Math.round(Math.max(0, nowMs - this.#toldAtMs) * this.#pace));
  }

  /** To be called often: asks when it is time to, and not where the answer would be that there is none. */
  refresh(nowMs: number, recording: Metrics["recording"]): void {
    if (WITHOUT.includes(recording.state)) {
      if (this.line !== null || !this.isNone) this.#none();
      return;
    }
    if (this.#isAsking || nowMs - this.#askedAtMs < INTERVAL_MS) return;
    this.#askedAtMs = nowMs;
    this.#isAsking = true;
    void this.#request("/v1/history")
      .then((answer) => {
        this.#take(answer, nowMs);
      })
      .catch((error: unknown) => {
        this.problem = `What is recorded cannot be shown: ${error instanceof Error ? error.message : String(error)}`;
      })
      .finally(() => {
        this.#isAsking = false;
        this.#changed();
      });
  }

  #none(): void {
    this.line = null;
    this.problem = null;
    this.isNone = true;
    this.#changed();
  }

  #take(answer: Answer, nowMs: number): void {
    if (answer.kind === "ok") {
      const [before, line] = [this.line, new RecordedLine(parseHistory(answer.body))];
      if (before?.stretches.length === line.stretches.length) this.#pace = Number(line.end - before.end) / (nowMs - this.#toldAtMs);
      this.line = line;
      this.#toldAtMs = nowMs;
      this.isNone = false;
      this.problem = null;
    } else if (answer.kind === "refused") {
      this.isNone = answer.problem.status === HTTP_NOT_IMPLEMENTED;
      this.line = null;
      this.problem = this.isNone ? null : `What is recorded is not told: ${answer.problem.detail || answer.problem.title}`;
    }
    // Without an answer the connection is the news, and the page says so elsewhere.
  }
}

/** Why there is no past to go to, and how there would be one. */
export function nothingRecorded(recording: Metrics["recording"] | undefined): string {
  switch (recording?.state) {
    case "taken":
      return "Another server records into the default folder, so there is no past to go to here: give this one a folder of its own, with --history FOLDER.";
    case "unavailable":
      return `Nothing is recorded (${recording.warning ?? "the folder cannot be used"}): name a folder that can be written to, with --history FOLDER.`;
    default:
      return "Nothing is recorded, so there is no past to go to: start the server without --no-history, or with --history FOLDER.";
  }
}
