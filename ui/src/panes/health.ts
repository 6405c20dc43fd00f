/** The health strip: throughput, latencies, the source, and the counters that open on demand. */

import { byTestId, make, setData, setText, setTitle } from "../dom";
import { formatCompact, formatDuration, formatInteger, formatUptime, MISSING } from "../format";
import type { Latency, Metrics } from "../feed/wire";
import type { Pane, PaneContext } from "../pane";
import type { State } from "../state";
import type { Palette } from "./canvas";
import { Chart } from "./chart";

/** Counters whose growth means that something in the feed was not as it should be. */
const WORRYING = /reject|unknown|error|invalid|bad|duplicate|excess|drop|gap/;

interface LatencyTexts {
  readonly p50: HTMLElement;
  readonly p90: HTMLElement;
  readonly p99: HTMLElement;
}

export class HealthPane implements Pane {
  readonly #messages = byTestId("messages-per-s", HTMLElement);
  readonly #events = byTestId("events-per-s", HTMLElement);
  readonly #bytes = byTestId("bytes-per-s", HTMLElement);
  readonly #apply = latencyTexts("apply");
  readonly #snapshot = latencyTexts("snapshot");
  readonly #sourceUri = byTestId("source-uri", HTMLElement);
  readonly #sourceState = byTestId("source-state", HTMLElement);
  readonly #uptime = byTestId("uptime", HTMLElement);
  readonly #books = byTestId("books", HTMLElement);
  readonly #resting = byTestId("resting-orders", HTMLElement);
  readonly #totalMessages = byTestId("total-messages", HTMLElement);
  readonly #totalEvents = byTestId("total-events", HTMLElement);
  readonly #recording = byTestId("recording", HTMLElement);
  readonly #version = byTestId("version", HTMLElement);
  readonly #counters = byTestId("counters", HTMLDetailsElement);
  readonly #counterList = byTestId("counter-list", HTMLElement);
  readonly #charts: readonly Chart[];
  readonly #counterValues = new Map<string, HTMLElement>();

  constructor({ state, tip, repaint, onPointer }: PaneContext) {
    const chart = (id: string, series: State["throughput"], lines: string[], format: (value: number) => string): Chart =>
      new Chart(byTestId(id, HTMLCanvasElement), series, { lines, format }, tip, repaint, onPointer);
    this.#charts = [
      chart("throughput-chart", state.throughput, ["messages", "events"], (value) => `${formatCompact(value)}/s`),
      chart("apply-chart", state.applyLatency, ["apply p99", "p50"], formatDuration),
      chart("snapshot-chart", state.snapshotLatency, ["snapshot p99", "p50"], formatDuration),
    ];
    this.#counters.addEventListener("toggle", repaint);
  }

  write({ metrics }: State): void {
    setText(this.#messages, formatCompact(metrics?.messagesPerS));
    setText(this.#events, `${formatCompact(metrics?.eventsPerS)}/s`);
    setText(this.#bytes, metrics === null ? MISSING : `${formatCompact(metrics.bytesPerS)}B/s`);
    writeLatency(this.#apply, metrics?.apply);
    writeLatency(this.#snapshot, metrics?.snapshot);
    setText(this.#sourceUri, metrics?.source.uri ?? MISSING);
    setTitle(this.#sourceUri, metrics?.source.error ?? metrics?.source.uri ?? "");
    setText(this.#sourceState, metrics?.source.state ?? MISSING);
    setData(this.#sourceState, "state", metrics?.source.state ?? "none");
    setText(this.#uptime, metrics === null ? MISSING : formatUptime(metrics.uptimeS));
    setText(this.#books, formatInteger(metrics?.books));
    setText(this.#resting, formatInteger(metrics?.orders));
    setText(this.#totalMessages, formatInteger(metrics?.totalMessages));
    setText(this.#totalEvents, formatInteger(metrics?.totalEvents));
    setText(this.#recording, metrics?.recording.state ?? MISSING);
    setTitle(this.#recording, metrics?.recording.warning ?? "");
    setData(this.#recording, "tone", (metrics?.recording.warning ?? null) === null ? "" : "warn");
    setText(this.#version, metrics === null ? "" : metrics.version);
    if (this.#counters.open) this.#writeCounters(metrics?.counters ?? []);
  }

  paint(palette: Palette, nowMs: number): void {
    for (const chart of this.#charts) chart.paint(nowMs, palette);
  }

  #writeCounters(counters: Metrics["counters"]): void {
    for (const [name, value] of counters) {
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
}

function latencyTexts(name: "apply" | "snapshot"): LatencyTexts {
  const text = (percentile: string): HTMLElement => byTestId(`${name}-${percentile}`, HTMLElement);
  return { p50: text("p50"), p90: text("p90"), p99: text("p99") };
}

function writeLatency(texts: LatencyTexts, latency: Latency | undefined): void {
  setText(texts.p50, formatDuration(latency?.p50Ns));
  setText(texts.p90, formatDuration(latency?.p90Ns));
  setText(texts.p99, formatDuration(latency?.p99Ns));
}
