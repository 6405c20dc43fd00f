/** The page's one animation frame loop: canvases when something changed, text at most ten times a second. */

export const TEXT_INTERVAL_MS = 100;
/** Canvases follow news sooner than text, which has to be read. */
export const CANVAS_INTERVAL_MS = 40;
/** Countdowns and ages move even when no data comes. */
export const IDLE_INTERVAL_MS = 500;
/** For people who asked their system for less motion. */
export const REDUCED_INTERVAL_MS = 1_000;

export interface Painter {
  /** Writes text and paints the canvases. */
  paintAll(nowMs: number): void;
  /** Paints the canvases only, for a pointer that moves, and for news between two texts. */
  paintCanvases(nowMs: number): void;
}

export interface Pace {
  readonly isReduced: boolean;
  readonly textIntervalMs: number;
}

export class Loop {
  readonly #painter: Painter;
  readonly #pace: () => Pace;
  #writtenAtMs = -Infinity;
  #paintedAtMs = -Infinity;
  #isTextDue = true;
  #isCanvasDue = true;
  #atOnce = false;
  #pointerMoved = false;

  constructor(painter: Painter, pace: () => Pace) {
    this.#painter = painter;
    this.#pace = pace;
  }

  /** New data: painted when the interval allows. */
  changed(): void {
    this.#isTextDue = this.#isCanvasDue = true;
  }

  /** The reader did something: painted in the next frame. */
  atOnce(): void {
    this.#atOnce = true;
  }

  pointerMoved(): void {
    this.#pointerMoved = true;
  }

  frame(nowMs: number): void {
    const { isReduced, textIntervalMs } = this.#pace();
    const intervalMs = isReduced ? REDUCED_INTERVAL_MS : this.#isTextDue ? textIntervalMs : IDLE_INTERVAL_MS;
    const isCanvasTime = !isReduced && this.#isCanvasDue && nowMs - this.#paintedAtMs >= CANVAS_INTERVAL_MS;
    if (this.#atOnce || nowMs - this.#writtenAtMs >= intervalMs) {
      this.#writtenAtMs = this.#paintedAtMs = nowMs;
      this.#isTextDue = this.#isCanvasDue = this.#atOnce = this.#pointerMoved = false;
      this.#painter.paintAll(nowMs);
    } else if (this.#pointerMoved || isCanvasTime) {
      this.#paintedAtMs = nowMs;
      this.#isCanvasDue = this.#pointerMoved = false;
      this.#painter.paintCanvases(nowMs);
    }
  }

  start(): void {
    const tick = (nowMs: number): void => {
      // Asked for first: a frame that throws is reported by the browser, and the next one still comes.
      requestAnimationFrame(tick);
      this.frame(nowMs);
    };
    requestAnimationFrame(tick);
  }
}
