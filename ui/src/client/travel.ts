/** What a client asks of the past, and where it stands there. Knows no socket. */

import type { Channel, Place, Point, Stepped, Travelled } from "./messages";

export type TravelOp =
  | { readonly op: "replay"; readonly from: string; readonly speed?: number; readonly paused?: boolean }
  | { readonly op: "pause" | "live" }
  | { readonly op: "resume"; readonly speed?: number }
  | { readonly op: "step"; readonly events: number; readonly instrument?: string }
  | { readonly op: "seek"; readonly at: string };

/** The server says no, or cannot be asked. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly code: string;
  readonly detail: string;

  constructor(code: string, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
    this.detail = detail;
  }
}

interface Asked {
  readonly request: TravelOp;
  readonly isReturn: boolean;
  readonly resolve: (stepped: Stepped | null) => void;
  readonly reject: (refusal: Refusal) => void;
}

export class Travel {
  /** Null: the books are those of now. Kept over a lost connection, to come back to. */
  place: Place | null = null;
  readonly #asked = new Map<number, Asked>();
  /** The time that was asked for, where nothing has moved since. */
  #question: string | null = null;
  /** The newest ts_event of the book of the past, since the last jump. */
  #seenNs = 0n;
  #seenEpoch = "";
  /** The ts_event of each book of the past, as it was told last since the last jump. */
  readonly #told = new Map<string, string>();
  /** Those of the moment that stood still when the connection was lost, until somebody goes elsewhere. */
  #stood: ReadonlyMap<string, string> | null = null;
  /** Those of them that have not been told anew since the way back was answered. */
  #unproven = new Map<string, string>();

  /**
   * What to ask for, to be just here again. A moment is asked for by ts_event, while a place tells its ts_recv, which
   * comes later: standing still, the events between the two would be shown too soon.
   */
  get wayBack(): string {
    const ts = this.place?.ts ?? "0";
    if (this.place?.state !== "paused") return ts;
    return this.#question ?? (this.#seenNs === 0n ? ts : this.#seenNs.toString());
  }

  get isAsking(): boolean {
    return this.#asked.size > 0;
  }

  /** Under the id that the request has been sent with; -> how far it has led, if it is a step. `isReturn`: on a new socket, to where it was. */
  ask(id: number, request: TravelOp, isReturn = false): Promise<Stepped | null> {
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { request, isReturn, resolve, reject });
    });
  }

  /** -> whether what follows does not continue what was. */
  take({ id, place, stepped }: Travelled): boolean {
    this.place = place;
    const asked = id === null ? undefined : this.#asked.get(id);
    if (id !== null) this.#asked.delete(id);
    asked?.resolve(stepped);
    const hasJumped = asked === undefined || isJump(asked.request);
    if (hasJumped) {
      this.#seenNs = 0n;
      this.#told.clear();
    }
    if (asked?.isReturn !== true) this.#stood = null;
    this.#unproven = new Map(this.#stood);
    if (place?.state !== "paused" || asked?.request.op !== "pause") this.#question = place === null ? null : timeOf(asked?.request, place);
    return hasJumped;
  }

  /**
   * A book of the past was told as of then. From one recorded session into the next, time may go back. -> where it stood,
   * if the way back has led to another event of it: what stood still is recorded no more.
   */
  saw(channel: Channel, { instrument, epoch, tsEvent }: Point): string | null {
    const ns = BigInt(tsEvent);
    if (ns > this.#seenNs || epoch !== this.#seenEpoch) this.#seenNs = ns;
    this.#seenEpoch = epoch;
    // Where a book stands still, it alone is told; trades are those of the events before.
    if (channel === "trades") return null;
    this.#told.set(instrument, tsEvent);
    const stood = this.#unproven.get(instrument) ?? tsEvent;
    this.#unproven.delete(instrument);
    return stood === tsEvent ? null : stood;
  }

  /** The books are those of now. */
  leave(): void {
    this.place = null;
    this.#stood = null;
  }

  /** -> whether it was about this. */
  refuse(id: number | null, code: string, detail: string): boolean {
    const asked = id === null ? undefined : this.#asked.get(id);
    if (id === null || asked === undefined) return false;
    this.#asked.delete(id);
    asked.reject(new Refusal(code, detail));
    return true;
  }

  beat(place: Place | null): void {
    // One that left the server before it heard of a replay says nothing about it.
    if (place === null || this.place === null) return;
    this.place = place;
    if (place.state !== "paused") this.#question = null;
  }

  /** What was not answered will not be. -> whether that has ended the replay: who was leaving it is not taken back. */
  lose(): boolean {
    const lost = [...this.#asked.values()];
    this.#asked.clear();
    const hasLeft = this.place !== null && lost.at(-1)?.request.op === "live";
    if (hasLeft) this.leave();
    else if (this.place?.state === "paused" && this.#told.size > 0) this.#stood ??= new Map(this.#told);
    for (const { request, resolve, reject } of lost) {
      if (hasLeft && request.op === "live") resolve(null);
      else reject(new Refusal("connection_lost", "the connection was lost before the answer"));
    }
    return hasLeft;
  }
}

/** The time asked for, if it led to a place that stands still. */
function timeOf(request: TravelOp | undefined, { state }: Place): string | null {
  if (state !== "paused") return null;
  if (request?.op === "replay") return request.from;
  return request?.op === "seek" ? request.at : null;
}

function isJump(request: TravelOp): boolean {
  return request.op === "replay" || request.op === "live" || request.op === "seek" || (request.op === "step" && request.events < 0);
}
