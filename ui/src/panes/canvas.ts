/** A canvas that follows its element's size and the screen's pixel density, and the colours of the theme. */

export interface Palette {
  readonly text: string;
  readonly muted: string;
  readonly line: string;
  readonly panel: string;
  readonly bid: string;
  readonly ask: string;
  readonly accent: string;
  readonly accentDim: string;
  readonly font: string;
}

/** Reads the custom properties of the theme; called when the theme or the side colours change. */
export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const property = (name: string): string => style.getPropertyValue(name).trim();
  return {
    text: property("--text"),
    muted: property("--muted"),
    line: property("--line"),
    panel: property("--panel"),
    bid: property("--bid"),
    ask: property("--ask"),
    accent: property("--accent"),
    accentDim: property("--accent-dim"),
    font: getComputedStyle(document.body).fontFamily,
  };
}

/** px of one rem, so that canvas text grows with the page. */
export function remPx(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
}

/** A window that moves to a screen of another density may keep its size, so that no observer tells of it. */
function onDensity(act: () => void): void {
  const next = (): void => {
    act();
    onDensity(act);
  };
  matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`).addEventListener("change", next, { once: true });
}

export class Surface {
  readonly canvas: HTMLCanvasElement;
  readonly context: CanvasRenderingContext2D;
  width = 0;
  height = 0;
  rem = 16;
  /** Pixels of the screen in one of CSS: those that the canvas was made for, also where the screen has become another one. */
  ratio = 1;

  /** `onResize` is told after the surface has its new size. */
  constructor(canvas: HTMLCanvasElement, onResize: () => void) {
    const context = canvas.getContext("2d");
    if (context === null) throw new Error("this browser gives no 2D canvas");
    this.canvas = canvas;
    this.context = context;
    const fit = (): void => {
      this.measure();
      onResize();
    };
    new ResizeObserver(fit).observe(canvas);
    onDensity(fit);
  }

  measure(): void {
    this.rem = remPx();
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.ratio = window.devicePixelRatio;
    const [width, height] = [Math.round(this.width * this.ratio), Math.round(this.height * this.ratio)];
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
  }

  /** Empties the surface; from here on one unit is one CSS pixel. */
  begin(): CanvasRenderingContext2D {
    this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    this.context.clearRect(0, 0, this.width, this.height);
    return this.context;
  }
}

/**
 * The position of the pointer over an element. Where `keepsTouch`, a place that was touched stays pointed at when the finger is lifted, until
 * another place is touched or the page is scrolled.
 */
export class Pointer {
  x = 0;
  y = 0;
  inside = false;

  constructor(element: HTMLElement, onMove: () => void, keepsTouch = false) {
    const move = (event: PointerEvent): void => {
      const box = element.getBoundingClientRect();
      this.x = event.clientX - box.left;
      this.y = event.clientY - box.top;
      this.inside = true;
      onMove();
    };
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerdown", move);
    const leave = (): void => {
      if (!this.inside) return;
      this.inside = false;
      onMove();
    };
    element.addEventListener("pointerleave", (event) => {
      // A finger that is not lifted, and leaves all the same, drags something.
      if (!keepsTouch || event.pointerType !== "touch" || event.buttons > 0) leave();
    });
    if (!keepsTouch) return;
    element.addEventListener("pointercancel", leave);
    document.addEventListener("pointerdown", ({ target }) => {
      if (target !== element) leave();
    });
  }
}
