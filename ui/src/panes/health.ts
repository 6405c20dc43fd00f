/** The health strip: how the server and this page are doing, in one row; all the rest opens on demand. */

import "./health.css";
import { byTestId, make, setData, setText, setTitle } from "../dom";
import { formatByteRate, formatCompact, formatDuration, formatInteger, formatUptime, MISSING } from "../format";
import type { Latency, Metrics, RecordingHealth } from "../feed/wire";
import type { State } from "../state";
import type { Actions, Pane, PaneContext } from "../pane";

/** Counters whose growth means that something in the feed was not as it should be. */
const WORRYING = /reject|unknown|error|invalid|bad|duplicate|excess|drop|gap/;
/** Tables that are further behind than this are behind. */
const TABLES_LAG_MAX_S = 10;

const LAST_KNOWN_TITLE = "Last known: the server has not been heard since";

type Tone = "" | "good" | "warn" | "bad";

/** One number, found by its test id. */
interface Figure {
  readonly id: string;
  readonly caption: string;
  readonly title?: string;
}

const percentiles = (id: string): Figure[] => [
  { id: `${id}-p50`, caption: `${id} p50` },
  { id: `${id}-p90`, caption: "p90" },
  { id: `${id}-p99`, caption: "p99" },
];

/** In groups, with a line between two of them. */
const STRIP: readonly (readonly Figure[])[] = [
  [
    { id: "messages-per-s", caption: "messages/s" },
    { id: "events-per-s", caption: "events/s" },
    { id: "bytes-per-s", caption: "data" },
  ],
  percentiles("apply"),
  percentiles("snapshot"),
  [
    { id: "source-lag", caption: "feed lag", title: "Now less the ts_recv of the last record; told of a live feed only" },
    { id: "loop-lag", caption: "loop p99", title: "How late the server's event loop was, of the last minute" },
  ],
  [
    { id: "records-lost", caption: "unrecorded", title: "Records that lie in holes of the recording" },
    { id: "conflated", caption: "conflated", title: "Updates merged away or lost to gaps, of slow clients, all together" },
    { id: "reconnects", caption: "reconnects", title: "Of the live feed, since the server's start" },
  ],
  [
    { id: "source-state", caption: "source" },
    { id: "recording", caption: "recording" },
  ],
  [
    { id: "checksum", caption: "checksum" },
    { id: "resyncs", caption: "resyncs", title: "How often this page asked for a book anew, because something did not fit" },
  ],
];

/** What nobody has to keep an eye on: above the counters. */
const MORE: readonly Figure[] = [
  { id: "source-uri", caption: "source" },
  { id: "uptime", caption: "server up for" },
  { id: "books", caption: "books" },
  { id: "resting-orders", caption: "resting orders" },
  { id: "tables-lag", caption: "tables behind", title: "How old the oldest record is that is not in the tables" },
  { id: "checked", caption: "checksums that matched", title: "Messages of this page's books whose CRC-32 was that of the server" },
];

export class HealthPane implements Pane {
  readonly #texts = new Map<string, HTMLElement>();
  readonly #root: HTMLElement;
  readonly #details = make("details", "counters");
  readonly #counterList = make("dl");
  readonly #counterValues = new Map<string, HTMLElement>();
  readonly #version = byTestId("version", HTMLElement);
  readonly #feed: Actions["feed"];

  constructor({ root, actions, repaint }: PaneContext) {
    this.#root = root;
    this.#feed = actions.feed;
    const strip = make("dl", "health-strip");
    for (const group of STRIP) {
      const figures = group.map((figure) => this.#figure(figure));
      figures[0]?.classList.add("begins");
      strip.append(...figures);
    }
    this.#details.dataset["testid"] = "counters";
    this.#counterList.dataset["testid"] = "counter-list";
    this.#counterList.append(...MORE.map((figure) => this.#figure(figure)));
    this.#details.append(make("summary", "", "Counters"), this.#counterList);
    this.#details.addEventListener("toggle", repaint);
    root.append(strip, this.#details);
  }

  write(state: State): void {
    const { metrics } = state;
    const isLastKnown = metrics !== null && !state.areMetricsCurrent;
    setText(this.#version, metrics?.version ?? "");
    setData(this.#root, "known", isLastKnown ? "last" : "now");
    setTitle(this.#root, isLastKnown ? LAST_KNOWN_TITLE : "");
    this.#writeServer(metrics);
    this.#writeSource(metrics, isLastKnown);
    this.#writeChecks(state);
    if (this.#details.open) this.#writeCounters(metrics);
  }

  #writeServer(metrics: Metrics | null): void {
    this.#say("messages-per-s", formatCompact(metrics?.messagesPerS));
    this.#say("events-per-s", formatCompact(metrics?.eventsPerS));
    this.#say("bytes-per-s", formatByteRate(metrics?.bytesPerS));
    this.#writeLatency("apply", metrics?.apply);
    this.#writeLatency("snapshot", metrics?.snapshot);
    this.#say("source-lag", formatDuration(metrics?.lagNs));
    this.#say("loop-lag", metrics === null ? MISSING : formatDuration(metrics.eventLoop.p99Ms * 1e6));
    const lost = metrics?.recording.recordsLost;
    this.#say("records-lost", formatInteger(lost), (lost ?? 0) > 0 ? "bad" : "");
    this.#say("conflated", formatCompact(metrics?.sockets.conflated));
    const reconnects = metrics?.reconnects;
    this.#say("reconnects", formatInteger(reconnects), (reconnects ?? 0) > 0 ? "warn" : "");
    this.#say("books", formatInteger(metrics?.books));
    this.#say("resting-orders", formatInteger(metrics?.orders));
  }

  #writeSource(metrics: Metrics | null, isLastKnown: boolean): void {
    const source = metrics?.source;
    this.#say("source-state", told(source?.state, isLastKnown), toneOfSource(source?.state), source?.error ?? source?.uri ?? "");
    this.#say("source-uri", source?.uri ?? MISSING, "", source?.uri ?? "");
    this.#say("uptime", metrics === null ? MISSING : formatUptime(metrics.uptimeS));
    this.#writeRecording(metrics?.recording, isLastKnown);
  }

  #writeRecording(recording: RecordingHealth | undefined, isLastKnown: boolean): void {
    const behindS = recording?.tablesLagS ?? null;
    const isBehind = (behindS ?? 0) > TABLES_LAG_MAX_S;
    const behind = behindS === null ? MISSING : `${behindS.toFixed(1)} s`;
    this.#say("tables-lag", behind, isBehind ? "warn" : "");
    const warning = recording?.warning ?? (isBehind ? `The tables are ${behind} behind` : "");
    this.#say("recording", told(recording?.state, isLastKnown), toneOfRecording(recording?.state, warning), warning);
  }

  /** Only books that come by the socket have a checksum; those that are asked for by HTTP come whole each time. */
  #writeChecks({ link, book }: State): void {
    const isStream = link.state === "open" && link.via === "stream";
    const word = isStream && book !== null ? this.#feed.check : MISSING;
    const title = word === "differs" ? "The last message did not lead to the server's book: a snapshot is asked for" : "";
    this.#say("checksum", word, word === "matches" ? "good" : word === "differs" ? "bad" : "", title);
    const { resyncs, verified } = this.#feed;
    this.#say("checked", formatInteger(verified));
    this.#say("resyncs", formatInteger(resyncs), resyncs > 0 ? "warn" : "");
  }

  #writeLatency(name: string, latency: Latency | undefined): void {
    const percentiles = { p50: latency?.p50Ns, p90: latency?.p90Ns, p99: latency?.p99Ns };
    for (const [percentile, ns] of Object.entries(percentiles)) {
      this.#say(`${name}-${percentile}`, formatDuration(ns), "", ns == null ? "nothing was timed" : `${ns} ns`);
    }
  }

  #writeCounters(metrics: Metrics | null): void {
    if (metrics === null) return;
    const totals: [string, number][] = [
      ["total_messages", metrics.totalMessages],
      ["total_events", metrics.totalEvents],
    ];
    for (const [name, value] of [...totals, ...metrics.counters]) {
      const element = this.#counterValues.get(name) ?? this.#addCounter(name);
      setText(element, formatInteger(value));
      setData(element, "tone", value > 0 && WORRYING.test(name) ? "warn" : "");
    }
  }

  #addCounter(name: string): HTMLElement {
    const value = make("dd");
    value.dataset["counter"] = name;
    const entry = make("div");
    entry.append(make("dt", "", name.replaceAll("_", " ")), value);
    this.#counterList.append(entry);
    this.#counterValues.set(name, value);
    return value;
  }

  #figure({ id, caption, title }: Figure): HTMLElement {
    const value = make("dd", "value");
    value.dataset["testid"] = id;
    this.#texts.set(id, value);
    const figure = make("div");
    if (title !== undefined) figure.title = title;
    figure.append(make("dt", "", caption), value);
    return figure;
  }

  #say(id: string, text: string, tone: Tone = "", title: string | null = null): void {
    const element = this.#texts.get(id);
    if (element === undefined) throw new Error(`no figure is called ${id}`);
    setText(element, text);
    setData(element, "tone", tone);
    if (title !== null) setTitle(element, title);
  }
}

function told(state: string | undefined, isLastKnown: boolean): string {
  if (state === undefined) return MISSING;
  return isLastKnown ? `was ${state}` : state;
}

function toneOfSource(state: string | undefined): Tone {
  if (state === "running") return "good";
  if (state === "failed") return "bad";
  return state === "reconnecting" || state === "connecting" ? "warn" : "";
}

/** Where nothing is to be recorded nothing is wrong. */
function toneOfRecording(state: string | undefined, warning: string): Tone {
  if (state === "failing") return "bad";
  if (warning !== "") return "warn";
  if (state === "recording") return "good";
  return state === undefined || state === "off" ? "" : "warn";
}
