/** Gives the ladder's columns their widths, and says which have no room. */

import { setData, setText, setTitle } from "../dom";
import type { Surface } from "./canvas";
import { CHARACTERS_MIN, fitColumns, KINDS, widen, type Characters, type ColumnSet } from "./ladder-columns";
import type { LadderFrame } from "./ladder-frame";
import { measureText } from "./ladder-measure";
import type { Ladder } from "./ladder-rows";
import { leftOut } from "./ladder-words";

type Frame = Pick<LadderFrame, "view" | "table" | "header" | "leftOut" | "leftOutHow">;

export class LadderFit {
  readonly #frame: Frame;
  readonly #surface: Surface;
  #characters: Characters = CHARACTERS_MIN;
  #fitted = "";
  #set: ColumnSet = "all";

  constructor(frame: Frame, surface: Surface) {
    this.#frame = frame;
    this.#surface = surface;
  }

  get set(): ColumnSet {
    return this.#set;
  }

  /** Another instrument: its numbers have other lengths. */
  reset(): void {
    this.#characters = CHARACTERS_MIN;
  }

  /** The page has another size, and so has its text. */
  forget(): void {
    this.#fitted = "";
  }

  /** `width`: of the rows, px. Whether the columns have moved. */
  write(ladder: Ladder, width: number): boolean {
    this.#characters = widen(this.#characters, ladder);
    const wanted = `${JSON.stringify(this.#characters)} ${width}`;
    if (wanted === this.#fitted || width === 0) return false;
    this.#fitted = wanted;
    this.#surface.measure();
    const { view, table, header } = this.#frame;
    const widths = fitColumns(this.#characters, width, measureText(table, header, this.#surface));
    this.#set = widths.set;
    setData(table, "columns", widths.set);
    for (const kind of KINDS) view.style.setProperty(`--${kind}-width`, `${widths[kind]}px`);
    const { what, how, title } = leftOut(widths.set);
    setText(this.#frame.leftOut, what);
    setText(this.#frame.leftOutHow, how);
    setTitle(this.#frame.leftOut, title);
    return true;
  }
}
