// Runs in the page before its own scripts: counts frames, long tasks and what comes by the sockets, in a fixed amount of memory.
(() => {
  "use strict";
  const BIN_MS = 0.1;
  const BINS = 20_000;
  const BLAMED_MAX = 5;
  const intervals = new Uint32Array(BINS);
  const counts = { frames: 0, longTasks: 0, longTaskMaxMs: 0, longTaskSumMs: 0, messages: 0, bytes: 0, checked: 0, sent: {} };
  const holds = [];
  let blamed = [];
  let lastMs = null;
  let isHeld = true;
  let begunMs = 0;
  let measuredMs = 0;

  const tick = (nowMs) => {
    requestAnimationFrame(tick);
    if (isHeld) return;
    if (lastMs !== null) {
      intervals[Math.min(BINS - 1, Math.round((nowMs - lastMs) / BIN_MS))] += 1;
      counts.frames += 1;
    }
    lastMs = nowMs;
  };
  requestAnimationFrame(tick);

  const isMeasured = ({ startTime, duration }) =>
    holds.every(([from, to]) => startTime + duration < from || startTime > (to ?? Infinity));

  new PerformanceObserver((list) => {
    for (const entry of list.getEntries().filter(isMeasured)) {
      counts.longTasks += 1;
      counts.longTaskSumMs += entry.duration;
      counts.longTaskMaxMs = Math.max(counts.longTaskMaxMs, entry.duration);
    }
  }).observe({ type: "longtask", buffered: true });

  // Says which callbacks a slow frame was spent in.
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries().filter(isMeasured)) {
      const scripts = entry.scripts.map(({ invoker, duration }) => `${invoker} ${Math.round(duration)} ms`).join(", ");
      blamed.push({ durationMs: entry.duration, scripts });
    }
    blamed = blamed.sort((one, other) => other.durationMs - one.durationMs).slice(0, BLAMED_MAX);
  }).observe({ type: "long-animation-frame", buffered: true });

  const Native = WebSocket;
  globalThis.WebSocket = class extends Native {
    constructor(...parameters) {
      super(...parameters);
      this.addEventListener("message", ({ data }) => {
        if (isHeld) return;
        counts.messages += 1;
        counts.bytes += data.length ?? data.byteLength ?? 0;
        if (typeof data === "string" && data.includes('"crc":')) counts.checked += 1;
      });
    }

    send(data) {
      const { op } = JSON.parse(data);
      if (!isHeld) counts.sent[op] = (counts.sent[op] ?? 0) + 1;
      super.send(data);
    }
  };

  // The first ladder: the frame after the first row of it is there.
  const ladder = new MutationObserver(() => {
    if (document.querySelector('[data-testid="ladder-row"][data-kind="level"]') === null) return;
    ladder.disconnect();
    requestAnimationFrame(() => setTimeout(() => performance.mark("first-ladder")));
  });
  ladder.observe(document, { childList: true, subtree: true });

  globalThis.probe = {
    go() {
      lastMs = null;
      begunMs = performance.now();
      const last = holds.at(-1);
      if (last !== undefined) last[1] = begunMs;
      isHeld = false;
    },
    hold() {
      isHeld = true;
      const nowMs = performance.now();
      measuredMs += nowMs - begunMs;
      holds.push([nowMs, null]);
    },
    read: () => ({ ...counts, blamed, measuredMs, binMs: BIN_MS, intervals: [...intervals.entries()].filter(([, count]) => count > 0) }),
    loaded() {
      const files = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].filter(
        ({ name }) => !new URL(name).pathname.startsWith("/v1/"),
      );
      return {
        firstPaintMs: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null,
        firstLadderMs: performance.getEntriesByName("first-ladder")[0]?.startTime ?? null,
        transferBytes: files.reduce((sum, { transferSize }) => sum + transferSize, 0),
        files: files.map(({ name, transferSize }) => [new URL(name).pathname, transferSize]),
      };
    },
  };
  // Before the first go() nothing is measured.
  holds.push([0, null]);
})();
