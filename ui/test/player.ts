/** A feed that writes down what it is asked of the past, and answers when it is told to. */

import type { Stepped } from "../src/client/messages";
import type { Replay, Travel } from "../src/feed/feed";

export class Player implements Travel {
  readonly asked: string[] = [];
  #answers: ((answer?: Error | Stepped) => void)[] = [];

  /** Answers what was asked first of all that has not been. */
  answer(answer?: Error | Stepped): Promise<void> {
    this.#answers.shift()?.(answer);
    return new Promise((resolve) => setTimeout(resolve, 0));
  }

  replay(from: string, options?: { speed?: number; paused?: boolean }): Promise<void> {
    return this.#done(`replay ${from} ${options?.speed} ${options?.paused}`);
  }
  pausePlay(): Promise<void> {
    return this.#done("pause");
  }
  resumePlay(speed?: number): Promise<void> {
    return this.#done(`resume ${speed}`);
  }
  step(events: number): Promise<Stepped | null> {
    return this.#ask(`step ${events}`);
  }
  seek(at: string): Promise<void> {
    return this.#done(`seek ${at}`);
  }
  live(): Promise<void> {
    return this.#done("live");
  }

  async #done(what: string): Promise<void> {
    await this.#ask(what);
  }

  #ask(what: string): Promise<Stepped | null> {
    this.asked.push(what);
    return new Promise((resolve, reject) => {
      this.#answers.push((answer) => {
        if (answer instanceof Error) reject(answer);
        else resolve(answer ?? null);
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
