/** Wires feed, state, panes and the frame loop together. */

import "./style.css";
import type { View } from "./address";
import { Controls } from "./controls";
import { byTestId, setData, setText } from "./dom";
import { StreamingFeed } from "./feed/streaming";
import type { Feed, FeedHandlers } from "./feed/feed";
import { keyOf } from "./feed/wire";
import { PaneHost } from "./host";
import { keepKey, loadKey } from "./key";
import { Keys } from "./keys";
import { Loop, type Slot } from "./loop";
import { Navigation } from "./navigation";
import { notices } from "./notices";
import type { Actions, PaneClass, PaneName } from "./pane";
import { FIRST_PANES, LATER_PANES, PERFORMANCE_PANE } from "./panes";
import { readPalette } from "./panes/canvas";
import { Picker } from "./panes/picker";
import { StatusPane } from "./panes/status";
import { SummaryPane } from "./panes/summary";
import { Tip } from "./panes/tip";
import { applyPreferences, loadPreferences, savePreferences } from "./preferences";
import { ReplayCommands } from "./replay-commands";
import { get } from "./feed/request";
import { LINK_WORDS } from "./standing-word";
import { nameOf, State } from "./state";
import { SuspectReason } from "./suspect-reason";
import { RecordedTrades } from "./trades-before";

/** The panes that are loaded later wait no longer for the first ladder than this. */
const LATER_PANES_DELAY_MAX_MS = 1_000;

const state = new State();
state.preferences = loadPreferences();
applyPreferences(state.preferences);

const tip = new Tip();
const keys = new Keys();
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
const linkPill = byTestId("link", HTMLElement);
const summary = new SummaryPane();
const picker = new Picker(choose, (isOpen) => {
  feed.watchList(isOpen);
});
const status = new StatusPane({
  retry: () => {
    feed.retryNow();
  },
  choose,
  live: () => {
    replay.ask({ do: "live" });
  },
  unlock: (key) => {
    keepKey(key);
    feed.rekeyed();
  },
});
let palette = readPalette();

const loop = new Loop(
  () => ({ isReduced: reducedMotion.matches, textIntervalMs: state.preferences.textIntervalMs }),
  (tookMs) => {
    state.meter.painted(tookMs);
  },
);
/** The ladder tells of the same book as what stands above it. */
const bookSlot = loop.slot();
const otherSlot = loop.slot();
bookSlot.add({
  write(nowMs) {
    const { link } = state;
    setText(linkPill, link.state === "open" && link.via === "polling" ? "polling" : LINK_WORDS[link.state]);
    setData(linkPill, "state", link.state);
    const standing = state.standing();
    setData(document.body, "standing", standing);
    const name = state.book === null ? "l3book" : `${nameOf(state.book)} · l3book`;
    const title = state.replay === null ? name : `past · ${name}`;
    if (document.title !== title) document.title = title;
    picker.write(state.instruments ?? [], state.selected);
    suspectReason.refresh(state);
    status.write(notices(state, nowMs));
    summary.write(state, nowMs);
    tradesBefore.refresh(state, replay.line, nowMs);
    navigation.write(nowMs);
  },
});

const repaint = (): void => {
  loop.atOnce();
};

const feed: Feed = new StreamingFeed(watched(state), { key: loadKey });
feed.setDepth(state.preferences.depth);
// The answers come while the page is being built, and are taken when it is.
feed.start();

const viewButton = byTestId("view-button", HTMLButtonElement);
// One for the page: who asks for the past elsewhere would race with what is asked for here.
const replay = new ReplayCommands(feed, state, repaint);
const navigation = new Navigation(state, replay, { select, show });
const actions: Actions = {
  feed,
  replay,
  choose,
  selectOrder: (orderId) => {
    state.order = orderId;
    repaint();
  },
  request: (path) => get(path, loadKey()),
  bind: (key, description, act) => {
    keys.bind(key, description, act);
  },
  prefer: (changes) => {
    Object.assign(state.preferences, changes);
    savePreferences(state.preferences);
    applyPreferences(state.preferences);
    feed.setDepth(state.preferences.depth);
    controls.write();
    palette = readPalette();
    repaint();
  },
};
actions.bind("/", "find an instrument", () => {
  picker.focus();
});
actions.bind("p", "performance page, and back", toggleView);
viewButton.addEventListener("click", toggleView);
const controls = new Controls(state, actions, keys, () => navigation.link());
const host = new PaneHost({ state, actions, tip }, () => palette);
const tradesBefore = new RecordedTrades((path) => actions.request(path), (before) => {
  host.takeTradesBefore(before);
  repaint();
});
const suspectReason = new SuspectReason((path) => actions.request(path), (reason) => {
  state.suspectReason = reason;
  repaint();
});
for (const [name, make] of FIRST_PANES) host.add(name, make, slotOf(name));

/** Every feed event reaches the state, then the panes, then the loop. */
function watched(target: State): FeedHandlers {
  return {
    onLink: (link) => {
      target.onLink(link);
      repaint();
    },
    onBook: (book) => {
      const isFirst = target.book === null;
      target.onBook(book);
      loop.changed();
      if (!isFirst) return;
      repaint();
      addLaterPanes();
    },
    onDepth: (book, isSnapshot) => {
      target.onDepth(book);
      tradesBefore.takeDepth(book, target.replay !== null, performance.now());
      host.takeDepth(book, isSnapshot);
      loop.changed();
    },
    onTrades: (trades, isSnapshot) => {
      target.onTrades(trades, isSnapshot);
      host.takeTrades(trades, isSnapshot);
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
    onBeat: (isNews) => {
      target.onBeat(isNews);
    },
    onDelay: (delayMs) => {
      target.onDelay(delayMs);
      loop.changed();
    },
    onReplay: (replay) => {
      target.onReplay(replay);
      loop.changed();
    },
    onReset: (why) => {
      target.onReset(why);
      tradesBefore.reset(why);
      host.reset();
      loop.changed();
    },
    onProblem: (channel, problem) => {
      target.onProblem(channel, problem);
      loop.changed();
    },
  };
}

/** Each frame that changes text costs the browser some milliseconds for all of the page: what is cheap shares one. */
function slotOf(name: PaneName): Slot {
  if (name === "ladder") return bookSlot;
  return name === "heatmap" || name === "tape" ? loop.slot() : otherSlot;
}

function choose(instrument: string): void {
  navigation.go({ instrument });
}

function toggleView(): void {
  navigation.go({ view: navigation.view === "book" ? "performance" : "book" });
}

let isPerformanceLoaded = false;

function show(view: View): void {
  setData(document.body, "view", view);
  viewButton.ariaPressed = String(view === "performance");
  repaint();
  if (view !== "performance" || isPerformanceLoaded) return;
  isPerformanceLoaded = true;
  void addPane("performance", PERFORMANCE_PANE).then((isAdded) => {
    // Asked for again, it is fetched again.
    isPerformanceLoaded = isAdded;
  });
}

function select(instrument: string | null): void {
  state.select(instrument);
  tradesBefore.reset("moved");
  host.reset();
  feed.select(instrument);
  repaint();
}

let areLaterPanesAsked = false;

/** Behind the next frame, so that nothing of them comes before the first ladder. */
function addLaterPanes(): void {
  if (areLaterPanesAsked) return;
  areLaterPanesAsked = true;
  const add = async (): Promise<void> => {
    for (const [name, load] of LATER_PANES) await addPane(name, load);
  };
  requestAnimationFrame(() => setTimeout(() => void add()));
}

/** One part that cannot be fetched, after an update of the server or a lost line, takes no other with it, and is told; whether it is there. */
async function addPane(name: PaneName, load: () => Promise<PaneClass>): Promise<boolean> {
  try {
    host.add(name, await load(), slotOf(name));
    state.onPart(name, true);
    return true;
  } catch (error) {
    console.error(error);
    state.onPart(name, false);
    loop.changed();
    return false;
  }
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) feed.pause();
  else feed.resume();
});

navigation.follow();
if (document.hidden) feed.pause();
keys.listen();
state.meter.watch();
loop.start();
// They follow the first ladder; where none comes, they have things to say all the same.
setTimeout(addLaterPanes, LATER_PANES_DELAY_MAX_MS);
