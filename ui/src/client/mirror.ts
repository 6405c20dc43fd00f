/** A book kept from snapshots and deltas, held against the server's checksum after each of them. */

import { unitsOf } from "../decimal";
import { crc32 } from "./crc";
import type { BookFacts, DeltaMessage, Heading, Moment, SnapshotMessage } from "./messages";
import type { Level } from "../feed/wire";

/** The checksum covers so many levels of each side. */
export const CRC_LEVELS_MAX = 10;

/** A message that does not continue the mirror, or leads to another book than the server's. */
export class OutOfStep extends Error {
  override readonly name = "OutOfStep";
}

/** One side: levels by price, best first. */
export class Half {
  readonly #sign: bigint;
  readonly #ranks: bigint[] = [];
  readonly levels: Level[] = [];

  /** `sign` makes a better price a smaller rank: -1 for bids, 1 for asks. */
  constructor(sign: bigint) {
    this.#sign = sign;
  }

  /** Sizes are absolute; size 0: no longer among the levels subscribed to. */
  put(level: Level): void {
    const rank = unitsOf(level.price) * this.#sign;
    let from = 0;
    let to = this.#ranks.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.#ranks[middle] ?? rank) < rank) from = middle + 1;
      else to = middle;
    }
    const isThere = this.#ranks[from] === rank;
    if (level.size === 0) {
      if (!isThere) return;
      this.levels.splice(from, 1);
      this.#ranks.splice(from, 1);
    } else if (isThere) {
      this.levels[from] = level;
    } else {
      this.levels.splice(from, 0, level);
      this.#ranks.splice(from, 0, rank);
    }
  }
}

/** Facts of a message, as of a moment behind it that has changed none of them but where it is. */
export function standing<T extends Heading>(facts: T | null, moment: Moment | null): T | null {
  if (facts === null || moment === null) return facts;
  const { seq, sequence, tsEvent, tsRecv } = moment;
  return { ...facts, seq, sequence, tsEvent, tsRecv };
}

export class Mirror {
  #bids = new Half(-1n);
  #asks = new Half(1n);
  #facts: BookFacts | null = null;
  #moment: Moment | null = null;
  /** The number of levels subscribed to. */
  readonly levelsMax: number;
  publisherId = 0;
  instrumentId = 0;

  constructor(levelsMax: number) {
    this.levelsMax = levelsMax;
  }

  /** As of the last message or moment; null before the first, and while the levels do not fit. */
  get facts(): BookFacts | null {
    return standing(this.#facts, this.#moment);
  }

  /** Resting in the whole book; null where no moment tells it. */
  get orders(): number | null {
    return this.#moment?.orders ?? null;
  }

  /** Whether it stands there: what is told of another epoch is not about these levels. The next delta continues the last message all the same. */
  standAt(moment: Moment): boolean {
    if (this.#facts?.epoch !== moment.epoch) return false;
    this.#moment = moment;
    return true;
  }

  /** Best first; a copy, as the mirror goes on changing. */
  get bids(): Level[] {
    return [...this.#bids.levels];
  }

  get asks(): Level[] {
    return [...this.#asks.levels];
  }

  checksum(): number {
    const count = Math.min(this.levelsMax, CRC_LEVELS_MAX);
    const best = [...this.#asks.levels.slice(0, count), ...this.#bids.levels.slice(0, count)];
    return crc32(best.map(({ price, size }) => `${price}:${size}`).join(","));
  }

  /** Throws OutOfStep; the mirror is then of no use until the next snapshot. */
  apply(message: SnapshotMessage | DeltaMessage): void {
    if (message.type === "snapshot") {
      this.#bids = new Half(-1n);
      this.#asks = new Half(1n);
      this.publisherId = message.publisherId;
      this.instrumentId = message.instrumentId;
    } else if (this.#facts?.epoch !== message.epoch || this.#facts.seq !== message.prev) {
      const at = this.#facts === null ? "nothing" : `${this.#facts.epoch}-${this.#facts.seq}`;
      throw new OutOfStep(`a delta from ${message.epoch}-${message.prev} cannot continue ${at}`);
    }
    // Nobody may read levels that are not known to be right.
    this.#facts = this.#moment = null;
    for (const level of message.bids) this.#bids.put(level);
    for (const level of message.asks) this.#asks.put(level);
    const checksum = this.checksum();
    if (checksum !== message.crc) {
      throw new OutOfStep(`at ${message.epoch}-${message.seq} the checksum is ${checksum}, the server says ${message.crc}`);
    }
    this.#facts = message;
  }
}
