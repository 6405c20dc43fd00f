/** A feed that writes down what it is asked of the past, and answers when it is told to. */

import type { Replay, Travel } from "../src/feed/feed";

export class Player implements Travel {
  readonly asked: string[] = [];
  #answers: ((error?: Error) => void)[] = [];

  /** Answers what was asked first of all that has not been. */
  answer(error?: Error): Promise<void> {
    this.#answers.shift()?.(error);
    return new Promise((resolve) => setTimeout(resolve, 0));
  }

  replay(from: string, options?: { speed?: number; paused?: boolean }): Promise<void> {
    return this.#ask(`replay ${from} ${options?.speed} ${options?.paused}`);
  }
  pausePlay(): Promise<void> {
    return this.#ask("pause");
  }
  resumePlay(speed?: number): Promise<void> {
    return this.#ask(`resume ${speed}`);
  }
  step(events: number): Promise<void> {
    return this.#ask(`step ${events}`);
  }
  seek(at: string): Promise<void> {
    return this.#ask(`seek ${at}`);
  }
  live(): Promise<void> {
    return this.#ask("live");
  }

  #ask(what: string): Promise<void> {
    this.asked.push(what);
    return new Promise((resolve, reject) => {
      this.#answers.push((error) => {
        if (error === undefined) resolve();
        else reject(error);
      });
    });
  }
}

export function replay(changes: Partial<Replay> = {}): Replay {
  return { id: "9f", state: "paused", ts: "100", speed: 1, ...changes };
}

export function refusal(code: string, detail = "no"): Error {
  return Object.assign(new Error(code), { code, detail });
}
