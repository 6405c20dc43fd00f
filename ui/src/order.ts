/** One order as REST tells it: where it rests or what became of it, and its life, read off its records. */

import { fields, list, nullable, number, oneOf, price, text, type Fields } from "./feed/fields";

const ACTIONS = ["A", "M", "C", "R", "T", "F", "N"] as const;
const SIDES = ["B", "A", "N"] as const;
const STATUSES = ["resting", "filled", "cancelled", "removed"] as const;

export type OrderStatus = (typeof STATUSES)[number];

/** A record of the order, as in DBN. */
export interface OrderEvent {
  readonly tsEvent: string;
  readonly action: (typeof ACTIONS)[number];
  readonly price: string | null;
  readonly size: number;
}

/** Its place in the queue of its price. */
export interface Place {
  readonly tsEvent: string;
  readonly ordersAhead: number;
  readonly sizeAhead: number;
  readonly ordersBehind: number;
  readonly sizeBehind: number;
}

export interface OrderAnswer {
  readonly orderId: string;
  readonly status: OrderStatus;
  readonly side: "B" | "A" | "N";
  readonly price: string | null;
  /** What is left of it: nothing of one that does not rest, also where the book was cleared under it. */
  readonly size: number;
  /** Null of one that does not rest. */
  readonly place: Place | null;
  /** What it took, and its fills; null of one that rests, whose life tells it. */
  readonly filled: number | null;
  /** Null where no history is kept. */
  readonly life: readonly OrderEvent[] | null;
}

export function parseOrder(value: unknown): OrderAnswer {
  const order = fields(value, "order");
  const status = oneOf(order["status"], "order.status", STATUSES);
  const isResting = status === "resting";
  return {
    orderId: text(order["order_id"], "order.order_id"),
    status,
    side: oneOf(order["side"], "order.side", SIDES),
    price: nullable(order["price"], "order.price", price),
    size: isResting ? number(order["size"], "order.size") : 0,
    place: isResting ? parsePlace(order) : null,
    filled: isResting ? null : number(order["filled"], "order.filled"),
    life: order["life"] === undefined ? null : list(order["life"], "order.life").map(parseEvent),
  };
}

function parsePlace(order: Fields): Place {
  return {
    tsEvent: text(order["ts_event"], "order.ts_event"),
    ordersAhead: number(order["orders_ahead"], "order.orders_ahead"),
    sizeAhead: number(order["size_ahead"], "order.size_ahead"),
    ordersBehind: number(order["orders_behind"], "order.orders_behind"),
    sizeBehind: number(order["size_behind"], "order.size_behind"),
  };
}

function parseEvent(value: unknown, index: number): OrderEvent {
  const where = `order.life[${index}]`;
  const event = fields(value, where);
  return {
    tsEvent: text(event["ts_event"], `${where}.ts_event`),
    action: oneOf(event["action"], `${where}.action`, ACTIONS),
    price: nullable(event["price"], `${where}.price`, price),
    size: number(event["size"], `${where}.size`),
  };
}

/** What happened to an order, in the words of people. */
export type StepKind = "took" | "added" | "modified" | "moved" | "partly filled" | "filled" | "reduced" | "cancelled" | "removed";

export interface LifeStep {
  /** Null where no record tells it. */
  readonly tsEvent: string | null;
  readonly kind: StepKind;
  /** What its size changed by. */
  readonly change: number;
  /** What was left of it then. */
  readonly left: number;
  readonly price: string | null;
}

interface Standing {
  readonly left: number;
  readonly price: string | null;
}

/**
 * The life of an order from its records. A fill changes no size: the cancel or the modify that comes with it, of the same
 * ts_event, does, and both are told as one step. What it took before it rested changed nothing of what rests.
 */
export function lifeSteps(events: readonly OrderEvent[], status: OrderStatus): LifeStep[] {
  const steps: LifeStep[] = [];
  let now: Standing = { left: 0, price: null };
  let fill: OrderEvent | null = null;
  for (const event of events) {
    if (event.action === "F") fill = event;
    const step = stepOf(event, now, fill?.tsEvent === event.tsEvent);
    if (step === null) continue;
    steps.push(step);
    now = { left: step.left, price: step.price };
    if (event.action !== "T") fill = null;
  }
  const wasCleared = status === "removed" && now.left > 0;
  return wasCleared ? [...steps, { tsEvent: null, kind: "removed", change: -now.left, left: 0, price: now.price }] : steps;
}

/** Null: it changed nothing. `isFill`: a fill of the same event came before. */
function stepOf({ action, tsEvent, size, price }: OrderEvent, now: Standing, isFill: boolean): LifeStep | null {
  const step = (kind: StepKind, left: number): LifeStep => {
    return { tsEvent, kind, change: left - now.left, left, price: price ?? now.price };
  };
  switch (action) {
    case "T":
      return now.left > 0 ? null : { ...step("took", 0), change: -size };
    case "A":
    case "M":
      if (size === 0) return step(isFill ? "filled" : "cancelled", 0);
      if (now.left === 0 || action === "A") return step("added", size);
      if (isFill && size < now.left) return step("partly filled", size);
      return step(price === now.price ? "modified" : "moved", size);
    case "C": {
      const left = Math.max(0, now.left - size);
      return step(left === 0 ? (isFill ? "filled" : "cancelled") : isFill ? "partly filled" : "reduced", left);
    }
    case "R":
      return step("removed", 0);
    default:
      return null;
  }
}
