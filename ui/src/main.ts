/** Wires feed, state, panes and the frame loop together. */

import "./style.css";
import { Controls } from "./controls";
import { byTestId, setData, setText } from "./dom";
import { StreamingFeed } from "./feed/streaming";
import type { Feed, FeedHandlers, Link } from "./feed/feed";
import { keyOf } from "./feed/wire";
import { keepKey, loadKey } from "./key";
import { Loop } from "./loop";
import { notices } from "./notices";
import { readPalette } from "./panes/canvas";
import { DepthPane } from "./panes/depth";
import { HealthPane } from "./panes/health";
import { LadderPane } from "./panes/ladder";
import { Picker } from "./panes/picker";
import { StatusPane } from "./panes/status";
import { SummaryPane } from "./panes/summary";
import { Tip } from "./panes/tip";
import { PriceWidth } from "./panes/price-width";
import { applyPreferences, loadPreferences } from "./preferences";
import { nameOf, State } from "./state";

const LINK_WORDS: Readonly<Record<Link["state"], string>> = {
  connecting: "connecting",
  open: "connected",
  paused: "paused",
  locked: "key needed",
  down: "disconnected",
};

const preferences = loadPreferences();
applyPreferences(preferences);

const state = new State();
const tip = new Tip();
const repaint = (): void => {
  loop.atOnce();
};
const onPointer = (): void => {
  loop.pointerMoved();
};
const linkPill = byTestId("link", HTMLElement);
const ladder = new LadderPane(preferences.depth, tip, repaint, onPointer);
const depth = new DepthPane(tip, repaint, onPointer);
const health = new HealthPane(state, tip, repaint, onPointer);
const summary = new SummaryPane();
const priceWidth = new PriceWidth();
const picker = new Picker(choose);
const status = new StatusPane({
  retry: () => {
    feed.retryNow();
  },
  choose,
  unlock: (key) => {
    keepKey(key);
    feed.rekeyed();
  },
});
let palette = readPalette();

const loop = new Loop(
  {
    paintAll(nowMs) {
      const { link } = state;
      setText(linkPill, link.state === "open" && link.via === "polling" ? "polling" : LINK_WORDS[link.state]);
      setData(linkPill, "state", link.state);
      const standing = state.standing();
      setData(document.body, "standing", standing);
      if (priceWidth.write(state.book)) ladder.remeasure();
      const title = state.book === null ? "l3book" : `${nameOf(state.book)} · l3book`;
      if (document.title !== title) document.title = title;
      picker.write(state.instruments ?? [], state.selected);
      status.write(notices(state, nowMs));
      summary.write(state.book, standing, nowMs);
      ladder.write(state.book);
      depth.take(state.depth);
      health.write(state.metrics);
      this.paintCanvases(nowMs);
    },
    paintCanvases(nowMs) {
      ladder.paint(palette);
      depth.paint(palette);
      health.paint(nowMs, palette);
    },
  },
  () => matchMedia("(prefers-reduced-motion: reduce)").matches,
);

const feed: Feed = new StreamingFeed(watched(state), { key: loadKey });
feed.setDepth(preferences.depth);

new Controls(preferences, {
  focusPicker: () => {
    picker.focus();
  },
  centre: () => {
    ladder.centre();
  },
  recoloured: () => {
    palette = readPalette();
    repaint();
  },
  depthChosen: (levels) => {
    ladder.setDepth(levels);
    feed.setDepth(levels);
    repaint();
  },
});

/** Every feed event reaches the state, and then the loop. */
function watched(target: State): FeedHandlers {
  return {
    onLink: (link) => {
      target.onLink(link);
      repaint();
    },
    onBook: (book) => {
      target.onBook(book);
      loop.changed();
    },
    onDepth: (book) => {
      target.onDepth(book);
      loop.changed();
    },
    onInstruments: (instruments) => {
      target.onInstruments(instruments);
      const [first] = instruments;
      if (target.selected === null && first !== undefined) select(keyOf(first));
      loop.changed();
    },
    onMetrics: (metrics) => {
      target.onMetrics(metrics);
      loop.changed();
    },
    onNews: () => {
      target.onNews();
    },
    onProblem: (channel, problem) => {
      target.onProblem(channel, problem);
      loop.changed();
    },
  };
}

/** The reader's choice is also the address, to be kept or passed on. */
function choose(instrument: string): void {
  location.hash = encodeURIComponent(instrument);
}

function select(instrument: string | null): void {
  state.select(instrument);
  feed.select(instrument);
  repaint();
}

function selectFromAddress(): void {
  const hash = location.hash.slice(1);
  // A hand-typed address may hold a lone percent sign; it is then taken as it stands.
  const instrument = /%(?![0-9a-f]{2})/i.test(hash) ? hash : decodeURIComponent(hash);
  if (instrument !== "" && instrument !== state.selected) select(instrument);
}

window.addEventListener("hashchange", selectFromAddress);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) feed.pause();
  else feed.resume();
});

selectFromAddress();
feed.start();
if (document.hidden) feed.pause();
loop.start();
