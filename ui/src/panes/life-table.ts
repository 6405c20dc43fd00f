/** The life of an order as rows, which are recycled. */

import { make, setData, setText, setTitle } from "../dom";
import { formatInteger, formatTime, MISSING, withMinus } from "../format";
import type { LifeStep } from "../order";

/** Of a long life the first steps and the last ones are listed. */
const STEPS_MAX = 60;
const FIRST_STEPS = 10;

const COLUMNS = ["what", "change", "left", "price"] as const;

interface Row {
  readonly row: HTMLTableRowElement;
  readonly what: HTMLElement;
  readonly time: HTMLElement;
  readonly cells: readonly HTMLTableCellElement[];
}

export class LifeTable {
  readonly #body: HTMLTableSectionElement;
  readonly #rows: Row[] = [];
  #steps: readonly LifeStep[] = [];
  hiddenCount = 0;

  constructor(body: HTMLTableSectionElement) {
    this.#body = body;
  }

  write(steps: readonly LifeStep[]): void {
    if (steps === this.#steps) return;
    this.#steps = steps;
    this.hiddenCount = Math.max(0, steps.length - STEPS_MAX);
    const shown = this.hiddenCount === 0 ? steps : [...steps.slice(0, FIRST_STEPS), ...steps.slice(FIRST_STEPS - STEPS_MAX)];
    for (const { row } of this.#rows.splice(shown.length)) row.remove();
    shown.forEach((step, index) => {
      this.#write(this.#row(index), step);
    });
  }

  #row(index: number): Row {
    const known = this.#rows[index];
    if (known !== undefined) return known;
    const row = make("tr");
    row.dataset["testid"] = "life-row";
    const cells = COLUMNS.map((column) => {
      const cell = make(column === "what" ? "th" : "td", `life-${column}`);
      cell.dataset["col"] = column;
      return cell;
    });
    const [what, time] = [make("span"), make("time")];
    const [first] = cells;
    if (first !== undefined) first.scope = "row";
    first?.append(what, time);
    row.append(...cells);
    this.#body.append(row);
    const made = { row, what, time, cells: cells.slice(1) };
    this.#rows.push(made);
    return made;
  }

  #write({ row, what, time, cells }: Row, step: LifeStep): void {
    const { exact } = formatTime(step.tsEvent ?? "");
    const change = step.change > 0 ? `+${formatInteger(step.change)}` : step.change < 0 ? `−${formatInteger(-step.change)}` : "";
    setText(what, step.kind);
    // "2025-09-24T19:30:00.123456789Z · … ns": the time of day to read, all of it on hover.
    setText(time, step.tsEvent === null ? MISSING : exact.slice(11, 29));
    setTitle(time, step.tsEvent === null ? "no record tells when" : exact);
    const words = [change, formatInteger(step.left), withMinus(step.price ?? MISSING)];
    cells.forEach((cell, index) => {
      setText(cell, words[index] ?? "");
    });
    setData(row, "kind", step.kind);
  }
}
