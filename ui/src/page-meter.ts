/** How the page itself is doing: frames, long tasks, what comes in, what painting costs. */

export interface PageNumbers {
  readonly framesPerS: number;
  readonly updatesPerS: number;
  readonly longTasks: number;
  /** The longest of them; 0: there was none. Browsers call a task long from 50 ms on. */
  readonly longTaskMaxMs: number;
  readonly paintMeanMs: number | null;
  readonly paintMaxMs: number | null;
}

export class PageMeter {
  readonly #now: () => number;
  #sinceMs: number;
  #frames = 0;
  #updates = 0;
  #paints = 0;
  #paintSumMs = 0;
  #paintMaxMs = 0;
  #longTasks = 0;
  #longTaskMaxMs = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#sinceMs = now();
  }

  /** Frames and long tasks are counted from here on; the latter where the browser tells them. */
  watch(): void {
    const tick = (): void => {
      this.frame();
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
    if (!PerformanceObserver.supportedEntryTypes.includes("longtask")) return;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) this.longTask(entry.duration);
    }).observe({ type: "longtask" });
  }

  frame(): void {
    this.#frames += 1;
  }

  update(): void {
    this.#updates += 1;
  }

  painted(tookMs: number): void {
    this.#paints += 1;
    this.#paintSumMs += tookMs;
    this.#paintMaxMs = Math.max(this.#paintMaxMs, tookMs);
  }

  longTask(tookMs: number): void {
    this.#longTasks += 1;
    this.#longTaskMaxMs = Math.max(this.#longTaskMaxMs, tookMs);
  }

  /** Since the last time it was asked. */
  take(): PageNumbers {
    const nowMs = this.#now();
    const seconds = Math.max(nowMs - this.#sinceMs, 1) / 1000;
    const numbers: PageNumbers = {
      framesPerS: this.#frames / seconds,
      updatesPerS: this.#updates / seconds,
      longTasks: this.#longTasks,
      longTaskMaxMs: this.#longTaskMaxMs,
      paintMeanMs: this.#paints === 0 ? null : this.#paintSumMs / this.#paints,
      paintMaxMs: this.#paints === 0 ? null : this.#paintMaxMs,
    };
    this.#sinceMs = nowMs;
    this.#frames = this.#updates = this.#paints = this.#longTasks = 0;
    this.#paintSumMs = this.#paintMaxMs = this.#longTaskMaxMs = 0;
    return numbers;
  }
}
