/**
 * The page's one animation frame loop. What is painted is divided into slots, each of which is painted as one: its text at
 * most ten times a second, its canvases between two texts where it asks for that. A frame paints the slots that have
 * waited longest until its time is up, and leaves the others to the next one: no frame is late because much is to be told.
 */

export const TEXT_INTERVAL_MS = 100;
/** Canvases that move follow news sooner than text, which has to be read. */
export const CANVAS_INTERVAL_MS = 40;
/** Countdowns and ages move even when no data comes. */
export const IDLE_INTERVAL_MS = 500;
/** For people who asked their system for less motion. */
export const REDUCED_INTERVAL_MS = 1_000;
/** A frame begins no other slot after this: half of its 16.7 ms is the browser's, for style, layout and pixels. */
export const BUDGET_MS = 5;

export interface Painter {
  /** Writes text. */
  write?(nowMs: number): void;
  /** Paints canvases; follows each text, and a pointer that moves. */
  paint?(nowMs: number): void;
}

export interface Pace {
  readonly isReduced: boolean;
  readonly textIntervalMs: number;
}

/** What is painted together, so that it never tells of two different books. */
export class Slot {
  readonly #painters: Painter[] = [];
  #writtenAtMs = -Infinity;
  #paintedAtMs = -Infinity;
  #isTextDue = true;
  #isCanvasDue = true;
  #atOnce = false;
  #pointerMoved = false;
  /** Its canvases move between two texts. */
  isMoving = false;

  add(painter: Painter): void {
    this.#painters.push(painter);
    this.#atOnce = true;
  }

  /** New data: painted when the interval allows. */
  changed(): void {
    this.#isTextDue = this.#isCanvasDue = true;
  }

  /** The reader did something: painted as soon as a frame has room. */
  atOnce(): void {
    this.#atOnce = true;
  }

  pointerMoved(): void {
    this.#pointerMoved = true;
  }

  /** For how long it has been due, ms; negative: it is not. */
  lateness(nowMs: number, { isReduced, textIntervalMs }: Pace): number {
    if (this.#atOnce || this.#pointerMoved) return Infinity;
    const textMs = this.#textLateness(nowMs, { isReduced, textIntervalMs });
    const isCanvasDue = this.isMoving && this.#isCanvasDue && !isReduced;
    return Math.max(textMs, isCanvasDue ? nowMs - this.#paintedAtMs - CANVAS_INTERVAL_MS : -Infinity);
  }

  run(nowMs: number, pace: Pace): void {
    const isText = this.#atOnce || (pace.isReduced && !this.#pointerMoved) || this.#textLateness(nowMs, pace) >= 0;
    this.#paintedAtMs = nowMs;
    this.#isCanvasDue = this.#atOnce = this.#pointerMoved = false;
    if (isText) {
      this.#writtenAtMs = nowMs;
      this.#isTextDue = false;
      for (const painter of this.#painters) painter.write?.(nowMs);
    }
    for (const painter of this.#painters) painter.paint?.(nowMs);
  }

  #textLateness(nowMs: number, { isReduced, textIntervalMs }: Pace): number {
    const intervalMs = isReduced ? REDUCED_INTERVAL_MS : this.#isTextDue ? textIntervalMs : IDLE_INTERVAL_MS;
    return nowMs - this.#writtenAtMs - intervalMs;
  }
}

export class Loop {
  readonly #slots: Slot[] = [];
  readonly #pace: () => Pace;
  readonly #now: () => number;
  readonly #onPainted: (tookMs: number) => void;

  /** `onPainted` is told how long each frame took that painted anything. */
  constructor(pace: () => Pace, onPainted: (tookMs: number) => void, now: () => number = () => performance.now()) {
    this.#pace = pace;
    this.#onPainted = onPainted;
    this.#now = now;
  }

  /** Of slots that have waited equally long, the one that was made first is painted first. */
  slot(): Slot {
    const slot = new Slot();
    this.#slots.push(slot);
    return slot;
  }

  changed(): void {
    for (const slot of this.#slots) slot.changed();
  }

  atOnce(): void {
    for (const slot of this.#slots) slot.atOnce();
  }

  frame(nowMs: number): void {
    const pace = this.#pace();
    const due = this.#due(nowMs, pace);
    const beganMs = this.#now();
    let tookMs = 0;
    for (const slot of due) {
      slot.run(nowMs, pace);
      tookMs = this.#now() - beganMs;
      if (tookMs >= BUDGET_MS && !pace.isReduced) break;
    }
    if (due.length > 0) this.#onPainted(tookMs);
  }

  /** Those that have waited longest first. */
  #due(nowMs: number, pace: Pace): Slot[] {
    const due = this.#slots.map((slot) => ({ slot, late: slot.lateness(nowMs, pace) })).filter(({ late }) => late >= 0);
    // With less motion all change at the same moment, and then nothing does for a while.
    if (pace.isReduced && due.some(({ late }) => late < Infinity)) return this.#slots;
    due.sort((a, b) => (a.late === b.late ? 0 : b.late - a.late));
    return due.map(({ slot }) => slot);
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
