/** The replay bar: live or a past time, and the way between them. */

import "./replay.css";
import { make, setData, setHidden, setText, setTitle } from "../dom";
import { formatTime } from "../format";
import type { ReplayCommands } from "../replay-commands";
import { nothingRecorded, Recorded } from "../replay-recorded";
import { NS_PER_S, parseTypedTime } from "../replay-time";
import { distanceWords, motionOf, standingWord, type Motion } from "../standing-word";
import type { State } from "../state";
import type { Palette } from "./canvas";
import type { Actions, Pane, PaneContext } from "../pane";
import { ReplayControls } from "./replay-controls";
import { ReplaySlider } from "./replay-slider";

const MOVING: ReadonlySet<Motion> = new Set(["live", "playing", "following"]);

export class ReplayPane implements Pane {
  readonly #root: HTMLElement;
  readonly #state: State;
  readonly #recorded: Recorded;
  readonly #commands: ReplayCommands;
  readonly #slider: ReplaySlider;
  readonly #controls: ReplayControls;
  readonly #badge = said("span", "badge state", "replay-state");
  readonly #time = said("span", "replay-time", "replay-time");
  readonly #distance = said("span", "replay-distance", "replay-distance");
  readonly #message = said("span", "replay-message", "replay-message");
  #typedProblem: string | null = null;
  #speedTold = 1;

  constructor({ root, state, actions, tip, repaint, onPointer }: PaneContext) {
    this.#root = root;
    this.#state = state;
    this.#recorded = new Recorded((path) => actions.request(path), () => {
      this.#slider.setLine(this.#recorded.line);
      this.#commands.line = this.#recorded.line;
      repaint();
    });
    this.#commands = actions.replay;
    this.#slider = new ReplaySlider(tip, {
      seek: (at) => {
        this.#ask(() => {
          this.#commands.ask({ do: "seek", at });
        });
      },
      repaint,
      onPointer,
    });
    this.#controls = new ReplayControls({
      toggle: () => {
        this.#ask(() => {
          this.#commands.toggle();
        });
      },
      step: (events) => {
        this.#step(events);
      },
      skip: (seconds) => {
        this.#skip(seconds);
      },
      live: () => {
        this.#live();
      },
      speed: (speed) => {
        this.#commands.setSpeed(speed);
      },
      go: (typed) => {
        this.#go(typed);
        repaint();
      },
    });
    this.#message.role = "status";
    const head = make("div", "replay-said");
    head.append(this.#badge, this.#time, this.#distance, this.#message);
    root.append(head, this.#controls.element, this.#slider.element);
    this.#bind(actions);
  }

  write(state: State, nowMs: number): void {
    if (state.link.state === "open" && state.metrics !== null) this.#recorded.refresh(nowMs, state.metrics.recording);
    const { replay } = state;
    if (replay !== null && replay.speed !== this.#speedTold) {
      this.#speedTold = this.#commands.speed = replay.speed;
    }
    setData(this.#root, "busy", this.#commands.isBusy ? "yes" : "no");
    const word = standingWord(state);
    setText(this.#badge, word.text);
    setData(this.#badge, "state", word.state);
    setTitle(this.#badge, word.title);
    this.#writeTime(nowMs);
    const { line } = this.#recorded;
    const canGo = replay !== null || (line !== null && !line.isEmpty);
    const isMoving = MOVING.has(motionOf(state));
    this.#controls.write(canGo, replay !== null, isMoving ? "Pause" : "Play", this.#commands.speed);
    this.#slider.write(replay === null ? null : this.#commands.shownNs, word.text);
    setHidden(this.#slider.element, line === null || line.isEmpty);
    this.#writeMessage();
  }

  paint(palette: Palette): void {
    this.#slider.paint(palette);
  }

  #writeTime(nowMs: number): void {
    const shown = this.#commands.shownNs;
    const time = formatTime((shown ?? 0n).toString());
    setText(this.#time, time.short);
    setTitle(this.#time, time.exact);
    const behind = shown === null ? null : this.#endNs(nowMs) - shown;
    const words = behind === null ? null : distanceWords(this.#state, behind);
    setHidden(this.#distance, words === null);
    if (words === null) return;
    setText(this.#distance, words);
    setTitle(this.#distance, `${behind} ns before the newest record`);
  }

  #writeMessage(): void {
    const { failure } = this.#commands;
    const { line, isNone, problem } = this.#recorded;
    const note = this.#typedProblem === null && failure?.isNote === true ? failure : null;
    const wrong = this.#typedProblem ?? (note === null ? failure?.text : undefined) ?? problem;
    const otherwise = isNone
      ? nothingRecorded(this.#state.metrics?.recording)
      : line?.isEmpty === true
        ? "Nothing has been recorded yet."
        : "";
    setText(this.#message, wrong ?? note?.text ?? otherwise);
    setTitle(this.#message, this.#typedProblem === null ? (failure?.detail ?? "") : "");
    setData(this.#message, "tone", wrong === null ? "info" : "bad");
  }

  /** The newest record, as far as is known: a running source goes on between two answers. */
  #endNs(nowMs: number): bigint {
    const goesOn = this.#state.metrics?.source.state === "running" && this.#state.metrics.recording.state === "recording";
    return goesOn ? this.#recorded.endAt(nowMs) : (this.#recorded.line?.end ?? 0n);
  }

  #ask(act: () => void): void {
    this.#typedProblem = null;
    act();
  }

  #step(events: number): void {
    this.#ask(() => {
      this.#commands.ask({ do: "step", events });
    });
  }

  #skip(seconds: number): void {
    this.#ask(() => {
      this.#commands.ask({ do: "skip", ns: BigInt(seconds) * NS_PER_S });
    });
  }

  #live(): void {
    this.#ask(() => {
      this.#commands.ask({ do: "live" });
    });
  }

  #go(typed: string): void {
    const read = parseTypedTime(typed, this.#commands.shownNs);
    const { line } = this.#recorded;
    if ("problem" in read) this.#typedProblem = read.problem;
    else if (line !== null && !line.isEmpty && line.clamp(read.ns) !== read.ns) {
      const [from, to] = [line.start, line.end].map((ns) => formatTime(ns.toString()).exact.split(" ")[0] ?? "");
      this.#typedProblem = `${formatTime(read.ns.toString()).short} is not recorded: there is ${from} to ${to}`;
    } else {
      this.#typedProblem = null;
      this.#commands.ask({ do: "seek", at: read.ns });
    }
    this.#controls.markField(this.#typedProblem !== null);
  }

  #bind(actions: Actions): void {
    actions.bind(" ", "play or pause; live: stand still at this moment", () => {
      this.#ask(() => {
        this.#commands.toggle();
      });
    });
    actions.bind("ArrowLeft", "one event of the book back", () => {
      this.#step(-1);
    });
    actions.bind("ArrowRight", "one event of the book on", () => {
      this.#step(1);
    });
    actions.bind("Shift+ArrowLeft", "one second back", () => {
      this.#skip(-1);
    });
    actions.bind("Shift+ArrowRight", "one second on", () => {
      this.#skip(1);
    });
    actions.bind("l", "back to live", () => {
      this.#live();
    });
  }
}

function said(tag: "span", className: string, testId: string): HTMLSpanElement {
  const element = make(tag, className);
  element.dataset["testid"] = testId;
  return element;
}
