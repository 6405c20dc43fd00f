/** The page's one animation frame loop: canvases when something changed, text at most ten times a second. */

export const TEXT_INTERVAL_MS = 100;
/** Countdowns and ages move even when no data comes. */
export const IDLE_INTERVAL_MS = 500;
/** For people who asked their system for less motion. */
export const REDUCED_INTERVAL_MS = 1_000;

export interface Painter {
  /** Writes text and paints the canvases. */
  paintAll(nowMs: number): void;
  /** Paints the canvases only, for a pointer that moves. */
  paintCanvases(nowMs: number): void;
}

export class Loop {
  readonly #painter: Painter;
  readonly #reducedMotion: () => boolean;
  #paintedAtMs = -Infinity;
  #changed = true;
  #atOnce = false;
  #pointerMoved = false;

  constructor(painter: Painter, reducedMotion: () => boolean) {
    this.#painter = painter;
    this.#reducedMotion = reducedMotion;
  }

  /** New data: painted when the interval allows. */
  changed(): void {
    this.#changed = true;
  }

  /** The reader did something: painted in the next frame. */
  atOnce(): void {
    this.#atOnce = true;
  }

  pointerMoved(): void {
    this.#pointerMoved = true;
  }

  frame(nowMs: number): void {
    const reduced = this.#reducedMotion();
    const intervalMs = reduced ? REDUCED_INTERVAL_MS : this.#changed ? TEXT_INTERVAL_MS : IDLE_INTERVAL_MS;
    if (this.#atOnce || nowMs - this.#paintedAtMs >= intervalMs) {
      this.#paintedAtMs = nowMs;
      this.#changed = this.#atOnce = this.#pointerMoved = false;
      this.#painter.paintAll(nowMs);
    } else if (this.#pointerMoved) {
      this.#pointerMoved = false;
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
