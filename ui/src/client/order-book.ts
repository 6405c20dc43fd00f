/** A book of every order, kept from channel `orders`, held against the server's checksum after each message. */

import { parseDecimal } from "../decimal";
import { crc32 } from "./crc";
import { CRC_LEVELS_MAX, OutOfStep, standing } from "./mirror";
import type { Level, QueueEntry } from "../feed/wire";
import type { Heading, Moment, Operation, OrdersDelta, OrdersSnapshot, Side } from "./messages";

/** Where `ts_event` is not told: operations tell no times. */
const NO_TIME = "0";

/** One level; `quote` is the size that no order accounts for. */
interface Place {
  readonly price: string;
  readonly rank: bigint;
  readonly quote: number;
  size: number;
  count: number;
  /** By order_id, in priority order. */
  readonly queue: Map<string, QueueEntry>;
}

/** One side: levels by price, best first. */
class Half {
  readonly #sign: bigint;
  readonly places: Place[] = [];

  /** `sign` makes a better price a smaller rank: -1 for bids, 1 for asks. */
  constructor(sign: bigint) {
    this.#sign = sign;
  }

  /** The level at a price, made if there is none. */
  at(price: string): Place {
    const rank = parseDecimal(price) * this.#sign;
    const index = this.#find(rank);
    const found = this.places[index];
    if (found?.rank === rank) return found;
    const made = { price, rank, quote: 0, size: 0, count: 0, queue: new Map<string, QueueEntry>() };
    this.places.splice(index, 0, made);
    return made;
  }

  put(level: Level): Place {
    const queue = new Map(level.queue.map((entry) => [entry[0], entry]));
    const quote = level.size - level.queue.reduce((sum, [, size]) => sum + size, 0);
    const rank = parseDecimal(level.price) * this.#sign;
    const made = { price: level.price, rank, quote, size: level.size, count: level.count, queue };
    this.places.splice(this.#find(rank), 0, made);
    return made;
  }

  drop(place: Place): void {
    this.places.splice(this.#find(place.rank), 1);
  }

  #find(rank: bigint): number {
    let from = 0;
    let to = this.places.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.places[middle]?.rank ?? rank) < rank) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}

interface Resting {
  readonly half: Half;
  readonly place: Place;
  readonly entry: QueueEntry;
}

export class OrderBook {
  #halves: Readonly<Record<Side, Half>> = emptyHalves();
  #resting = new Map<string, { readonly half: Half; readonly place: Place }>();
  #facts: Heading | null = null;
  #moment: Moment | null = null;
  publisherId = 0;
  instrumentId = 0;

  /** As of the last message or moment; null before the first, and while the orders do not fit. */
  get facts(): Heading | null {
    return standing(this.#facts, this.#moment);
  }

  /** Whether it stands there. The next delta continues the last message all the same. */
  standAt(moment: Moment): boolean {
    if (this.#facts?.epoch !== moment.epoch) return false;
    this.#moment = moment;
    return true;
  }

  /** Best first; a copy, as the book goes on changing. */
  get bids(): Level[] {
    return copied(this.#halves.B);
  }

  get asks(): Level[] {
    return copied(this.#halves.A);
  }

  checksum(): number {
    const best = [...this.#halves.A.places.slice(0, CRC_LEVELS_MAX), ...this.#halves.B.places.slice(0, CRC_LEVELS_MAX)];
    return crc32(best.map(({ price, size }) => `${price}:${size}`).join(","));
  }

  /** Throws OutOfStep; the book is then of no use until the next snapshot. */
  apply(message: OrdersSnapshot | OrdersDelta): void {
    if (message.type === "orders delta") {
      if (this.#facts?.epoch !== message.epoch || this.#facts.seq !== message.prev) {
        const at = this.#facts === null ? "nothing" : `${this.#facts.epoch}-${this.#facts.seq}`;
        throw new OutOfStep(`a delta from ${message.epoch}-${message.prev} cannot continue ${at}`);
      }
    }
    // Nobody may read orders that are not known to be right.
    this.#facts = this.#moment = null;
    if (message.type === "orders snapshot") this.#begin(message);
    else for (const operation of message.ops) this.#carryOut(operation);
    const checksum = this.checksum();
    if (checksum !== message.crc) {
      throw new OutOfStep(`at ${message.epoch}-${message.seq} the checksum is ${checksum}, the server says ${message.crc}`);
    }
    this.#facts = message;
  }

  #begin(message: OrdersSnapshot): void {
    this.#halves = emptyHalves();
    this.#resting = new Map();
    this.publisherId = message.publisherId;
    this.instrumentId = message.instrumentId;
    for (const [half, levels] of [[this.#halves.B, message.bids], [this.#halves.A, message.asks]] as const) {
      for (const level of levels) {
        const place = half.put(level);
        for (const [orderId] of level.queue) this.#resting.set(orderId, { half, place });
      }
    }
  }

  #carryOut(operation: Operation): void {
    switch (operation.op) {
      case "A":
        if (this.#resting.has(operation.orderId)) throw new OutOfStep(`order ${operation.orderId} rests already`);
        this.#join(this.#halves[operation.side], operation.price, operation.orderId, operation.size);
        break;
      case "M": {
        const found = this.#find(operation.orderId);
        if (operation.place === "keep") {
          resize(found, operation.size);
        } else {
          this.#leave(found);
          this.#join(found.half, operation.price, operation.orderId, operation.size);
        }
        break;
      }
      case "C": {
        const found = this.#find(operation.orderId);
        if (operation.size < found.entry[1]) resize(found, found.entry[1] - operation.size);
        else this.#leave(found);
        break;
      }
      case "Q":
        this.#quote(operation.side, operation.price, operation.size);
        break;
    }
  }

  #find(orderId: string): Resting {
    const where = this.#resting.get(orderId);
    const entry = where?.place.queue.get(orderId);
    if (where === undefined || entry === undefined) throw new OutOfStep(`order ${orderId} does not rest here`);
    return { ...where, entry };
  }

  #join(half: Half, price: string, orderId: string, size: number): void {
    const place = half.at(price);
    place.queue.set(orderId, [orderId, size, NO_TIME]);
    place.size += size;
    place.count += 1;
    this.#resting.set(orderId, { half, place });
  }

  #leave({ half, place, entry }: Resting): void {
    place.queue.delete(entry[0]);
    this.#resting.delete(entry[0]);
    place.size -= entry[1];
    place.count -= 1;
    if (place.queue.size === 0 && place.quote === 0) half.drop(place);
  }

  #quote(side: Side, price: string | null, size: number): void {
    for (const place of this.#halves[side].places) {
      for (const orderId of place.queue.keys()) this.#resting.delete(orderId);
    }
    const half = emptyHalves()[side];
    if (price !== null) half.put({ price, size, count: 0, queue: [] });
    this.#halves = { ...this.#halves, [side]: half };
  }
}

function emptyHalves(): Record<Side, Half> {
  return { B: new Half(-1n), A: new Half(1n) };
}

function copied(half: Half): Level[] {
  return half.places.map(({ price, size, count, queue }) => ({ price, size, count, queue: [...queue.values()] }));
}

function resize({ place, entry: [orderId, before, tsEvent] }: Resting, size: number): void {
  place.size += size - before;
  place.queue.set(orderId, [orderId, size, tsEvent]);
}
