/** Why the book on view is suspect, which its messages do not tell: asked for each time that it becomes so. */

import { fields, list, text } from "./feed/fields";
import type { Answer } from "./feed/request";
import { keyOf } from "./feed/wire";
import type { State } from "./state";

export class SuspectReason {
  readonly #request: (path: string) => Promise<Answer>;
  readonly #told: (reason: string) => void;
  #about = "";

  /** `told`: "" while it is not known, or there is none. */
  constructor(request: (path: string) => Promise<Answer>, told: (reason: string) => void) {
    this.#request = request;
    this.#told = told;
  }

  /** To be called often. Of a book of the past the server's last transitions say nothing. */
  refresh({ book, replay }: Pick<State, "book" | "replay">): void {
    const about = book?.state === "suspect" && replay === null ? keyOf(book) : "";
    if (about === this.#about) return;
    this.#about = about;
    this.#told("");
    if (about !== "") void this.#ask(about);
  }

  async #ask(about: string): Promise<void> {
    const answer = await this.#request("/v1/feed/transitions");
    if (answer.kind === "ok" && about === this.#about) this.#told(reasonIn(answer.body, about));
  }
}

/** That of the last time the book became so. */
function reasonIn(body: unknown, about: string): string {
  const transitions = list(fields(body, "answer")["transitions"], "transitions").map((each) => fields(each, "transition"));
  const last = transitions.findLast((each) => each["kind"] === "suspect" && [each["publisher_id"], each["instrument_id"]].join(":") === about);
  return last === undefined ? "" : text(last["reason"], "reason");
}
