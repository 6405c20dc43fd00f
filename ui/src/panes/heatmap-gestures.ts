/** Wheel, drag, pinch and keys over the heatmap, as what they mean. */

export interface GestureHandlers {
  /** By steps, positive nearer; the moment at `x` stays. */
  zoomTime(steps: number, x: number): void;
  /** By steps, positive nearer; the price at `y` stays. */
  zoomPrice(steps: number, y: number): void;
  /** By CSS pixels, as the picture is dragged: positive right and down. */
  pan(dx: number, dy: number): void;
  follow(): void;
  /** Zoom and middle as the page chose them. */
  reset(): void;
  /** Where the prices are written: there the wheel zooms them. */
  isOverPrices(x: number): boolean;
}

const WHEEL_STEP_PX = 70;
/** Lines and pages of a wheel that does not count in pixels. */
const WHEEL_UNIT_PX = [1, 24, 400] as const;
/** A pinch is a step when the fingers' distance has changed by this share. */
const PINCH_STEP = 1.22;
/** A press that moves less than this is no drag. */
const DRAG_MIN_PX = 4;
const KEY_PAN_PX = 60;
const KEY_PAN_PRICE_PX = 30;

interface Finger {
  x: number;
  y: number;
}

export class Gestures {
  readonly #element: HTMLElement;
  readonly #handlers: GestureHandlers;
  readonly #fingers = new Map<number, Finger>();
  #isDragging = false;
  #wheelPx = 0;

  constructor(element: HTMLElement, handlers: GestureHandlers) {
    this.#element = element;
    this.#handlers = handlers;
    element.addEventListener("wheel", (event) => { this.#wheel(event); }, { passive: false });
    element.addEventListener("pointerdown", (event) => { this.#down(event); });
    element.addEventListener("pointermove", (event) => { this.#move(event); });
    for (const name of ["pointerup", "pointercancel"] as const) {
      element.addEventListener(name, (event) => { this.#up(event); });
    }
    element.addEventListener("dblclick", () => { handlers.reset(); });
    element.addEventListener("keydown", (event) => { this.#key(event); });
    element.addEventListener("mousedown", leaveKeysToThePage);
  }

  #place(event: MouseEvent): Finger {
    const box = this.#element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  #wheel(event: WheelEvent): void {
    // With Ctrl a touchpad's pinch comes too; without Shift, the browser may have turned the wheel to the side already.
    event.preventDefault();
    const unit = WHEEL_UNIT_PX[event.deltaMode] ?? 1;
    const { x, y } = this.#place(event);
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY) && !event.shiftKey) {
      this.#handlers.pan(-event.deltaX * unit, 0);
      return;
    }
    this.#wheelPx += (event.deltaY || event.deltaX) * unit;
    const steps = Math.trunc(this.#wheelPx / WHEEL_STEP_PX);
    if (steps === 0) return;
    this.#wheelPx -= steps * WHEEL_STEP_PX;
    if (event.shiftKey || this.#handlers.isOverPrices(x)) this.#handlers.zoomPrice(-steps, y);
    else this.#handlers.zoomTime(-steps, x);
  }

  #down(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.#fingers.set(event.pointerId, this.#place(event));
    this.#isDragging = this.#fingers.size > 1;
  }

  #move(event: PointerEvent): void {
    const finger = this.#fingers.get(event.pointerId);
    if (finger === undefined) return;
    const now = this.#place(event);
    const [dx, dy] = [now.x - finger.x, now.y - finger.y];
    if (this.#fingers.size === 2) {
      this.#pinch(event.pointerId, now);
      return;
    }
    if (!this.#isDragging && Math.hypot(dx, dy) < DRAG_MIN_PX) return;
    if (!this.#isDragging) this.#element.setPointerCapture(event.pointerId);
    this.#isDragging = true;
    Object.assign(finger, now);
    this.#handlers.pan(dx, dy);
  }

  #pinch(id: number, now: Finger): void {
    const [other] = [...this.#fingers].filter(([each]) => each !== id).map(([, finger]) => finger);
    const finger = this.#fingers.get(id);
    if (other === undefined || finger === undefined) return;
    const isFlat = Math.abs(finger.x - other.x) >= Math.abs(finger.y - other.y);
    const distance = (at: Finger): number => Math.max(8, isFlat ? Math.abs(at.x - other.x) : Math.abs(at.y - other.y));
    const steps = Math.trunc(Math.log(distance(now) / distance(finger)) / Math.log(PINCH_STEP));
    if (steps === 0) return;
    Object.assign(finger, now);
    if (isFlat) this.#handlers.zoomTime(steps, (now.x + other.x) / 2);
    else this.#handlers.zoomPrice(steps, (now.y + other.y) / 2);
  }

  #up(event: PointerEvent): void {
    this.#fingers.delete(event.pointerId);
    this.#isDragging = this.#fingers.size > 0;
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // A second back or on is the page's from everywhere; of a character, Shift is how it is typed.
    if (event.shiftKey && event.key.length > 1) return;
    const handlers = this.#handlers;
    const middle = { x: this.#element.clientWidth / 2, y: this.#element.clientHeight / 2 };
    const keys: Readonly<Record<string, () => void>> = {
      ArrowLeft: () => { handlers.pan(KEY_PAN_PX, 0); },
      ArrowRight: () => { handlers.pan(-KEY_PAN_PX, 0); },
      ArrowUp: () => { handlers.pan(0, KEY_PAN_PRICE_PX); },
      ArrowDown: () => { handlers.pan(0, -KEY_PAN_PRICE_PX); },
      "+": () => { handlers.zoomTime(1, middle.x); },
      "=": () => { handlers.zoomTime(1, middle.x); },
      "-": () => { handlers.zoomTime(-1, middle.x); },
      PageUp: () => { handlers.zoomPrice(1, middle.y); },
      PageDown: () => { handlers.zoomPrice(-1, middle.y); },
      Home: () => { handlers.pan(Infinity, 0); },
      End: () => { handlers.follow(); },
      "0": () => { handlers.reset(); },
      Escape: () => { this.#element.blur(); },
    };
    const act = keys[event.key];
    if (act === undefined) return;
    // While the keyboard's focus is here these keys are the heatmap's own; elsewhere some of them mean other things.
    event.preventDefault();
    event.stopPropagation();
    act();
  }
}

/** A pointer has wheel, drag and buttons here, and takes the focus nowhere: only who comes with Tab is given the heatmap's own keys. */
function leaveKeysToThePage(event: MouseEvent): void {
  event.preventDefault();
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
}
