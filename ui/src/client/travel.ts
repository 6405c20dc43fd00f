/** What a client asks of the past, and where it stands there. Knows no socket. */

import type { Place, Travelled } from "./messages";

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
  readonly op: TravelOp["op"];
  readonly isJump: boolean;
  readonly resolve: () => void;
  readonly reject: (refusal: Refusal) => void;
}

export class Travel {
  /** Null: the books are those of now. Kept over a lost connection, to come back to. */
  place: Place | null = null;
  readonly #asked = new Map<number, Asked>();

  get isAsking(): boolean {
    return this.#asked.size > 0;
  }

  /** Under the id that the request has been sent with. */
  ask(id: number, request: TravelOp): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { op: request.op, isJump: isJump(request), resolve, reject });
    });
  }

  /** -> whether what follows does not continue what was. */
  take({ id, place }: Travelled): boolean {
    this.place = place;
    const asked = id === null ? undefined : this.#asked.get(id);
    if (id !== null) this.#asked.delete(id);
    asked?.resolve();
    return asked?.isJump ?? true;
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
    if (place !== null && this.place !== null) this.place = place;
  }

  /** What was not answered will not be. -> whether that has ended the replay: who was leaving it is not taken back. */
  lose(): boolean {
    const lost = [...this.#asked.values()];
    this.#asked.clear();
    const hasLeft = this.place !== null && lost.at(-1)?.op === "live";
    if (hasLeft) this.place = null;
    for (const { op, resolve, reject } of lost) {
      if (hasLeft && op === "live") resolve();
      else reject(new Refusal("connection_lost", "the connection was lost before the answer"));
    }
    return hasLeft;
  }
}

function isJump(request: TravelOp): boolean {
  return request.op === "replay" || request.op === "live" || request.op === "seek" || (request.op === "step" && request.events < 0);
}
