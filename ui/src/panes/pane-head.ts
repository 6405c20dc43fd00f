/** The line on top of a pane: its heading, and room for its buttons. */

import { make } from "../dom";

export function paneHead(root: HTMLElement): HTMLElement {
  const head = make("div", "panel-head");
  const heading = root.querySelector("h2");
  root.prepend(head);
  if (heading !== null) head.append(heading);
  return head;
}
