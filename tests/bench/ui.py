"""The page in Chromium while its server takes 500,000 messages/s; prints a table.

`make bench-ui SECONDS=60`. A gateway sends a simulated market at a fixed rate as if it were now, `l3book serve` reads
it, and the page is open on one of the books. Wrong is what must never be: a fault in the page, a checksum that did not
fit, memory that grows. Times are of this machine, and reported only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "load"))

import running
from browsing import chromium_path
from devtools import Chromium, DevToolsError, Tab, chromium
from load import RECORDS, cpu_s, row
from running_gateway import KEY, RunningGateway

if TYPE_CHECKING:
    from collections.abc import Iterator

FLOOR = """{
  document.body.style.margin = "0";
  document.body.innerHTML = '<canvas width="1440" height="900"></canvas>';
  const context = document.querySelector("canvas").getContext("2d");
  const paint = (nowMs) => {
    requestAnimationFrame(paint);
    context.fillStyle = `hsl(${Math.round(nowMs / 20) % 360} 50% 50%)`;
    context.fillRect(0, 0, 40, 40);
  };
  requestAnimationFrame(paint);
}"""
"""The least that a page of this size can do with each frame: what the machine leaves for a page."""
FLOOR_S = 10.0
PROBE = Path(__file__).with_name("ui_probe.js").read_text(encoding="utf-8")
WINDOW = 1440, 900
LOADS = 5
SETTLE_S = 5.0
LADDER_TIMEOUT_S = 60.0
LADDER = """document.querySelector('[data-testid="ladder-row"][data-kind="level"]') !== null"""
SAMPLES = 12
"""Of memory, each after a collection, for which measuring is held."""
SPENT = ("TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration")
"""Of the page's main thread; in its own processor time, as others may be at work on the machine."""
FRAME_MS = 1000 / 60
FRAME_TOLERANCE_MS = 0.5
BYTES_PER_MIB = 1 << 20
# The goals.
LONG_TASK_MS = 50
FIRST_LADDER_MS = 1_000
TRANSFER_BYTES_MAX = 100_000
# Growth: between the second quarter of a run and its last. What the page remembers fills up in the first.
HEAP_GROWTH_BYTES_MAX = 4 * BYTES_PER_MIB
NODE_GROWTH_MAX = 500
LISTENER_GROWTH_MAX = 50


@dataclass
class Seen:
    """What a run has found."""

    loads: list[dict[str, Any]] = field(default_factory=list)
    samples: list[dict[str, float]] = field(default_factory=list)
    spent_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SPENT, 0.0))
    probe: dict[str, Any] = field(default_factory=dict)
    floor: dict[str, Any] = field(default_factory=dict)
    """Of a page that does next to nothing, under the same load."""
    faults: list[str] = field(default_factory=list)
    rate: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    stolen: float | None = None
    """Of a core: what a host gave to others while this machine had work for it; None where the system does not tell."""
    renderer: str = ""

    def growth(self, name: str) -> float:
        """By how much the median of the last quarter is above that of the second."""
        values = [sample[name] for sample in self.samples]
        quarter = max(1, len(values) // 4)
        return statistics.median(values[-quarter:]) - statistics.median(values[quarter : 2 * quarter] or values[:1])

    def complaints(self) -> list[str]:
        """What is wrong on any machine."""
        found = list(self.faults)
        # Of a page that is left alone: whatever it asks for anew did not fit.
        again = {op: count for op, count in self.probe["sent"].items() if op in {"subscribe", "unsubscribe", "resync"}}
        if again:
            found.append(f"the page asked for snapshots anew: {again}")
        if not self.probe["checked"]:
            found.append("no message with a checksum came")
        limits = (
            ("JSHeapUsedSize", HEAP_GROWTH_BYTES_MAX),
            ("Nodes", NODE_GROWTH_MAX),
            ("JSEventListeners", LISTENER_GROWTH_MAX),
        )
        for name, limit in limits:
            if self.growth(name) > limit:
                found.append(f"{name} grows: {[round(sample[name]) for sample in self.samples]}")
        return found


@contextmanager
def open_page(browser: Chromium, url: str, faults: list[str]) -> Iterator[Tab]:
    """A page with the probe, as soon as it shows a ladder; its complaints are faults."""
    with browser.tab(*WINDOW, PROBE, faults) as page:
        page.open(url)
        page.wait_until(LADDER, LADDER_TIMEOUT_S)
        yield page


def load_again_and_again(browser: Chromium, url: str, times: int, seen: Seen) -> None:
    """Each time with an empty cache."""
    for _ in range(times):
        with open_page(browser, url, seen.faults) as page:
            page.wait_until("probe.loaded().firstLadderMs !== null", LADDER_TIMEOUT_S)
            seen.loads.append(page.evaluate("probe.loaded()"))


def say(what: str) -> None:
    """Tell whoever waits."""
    print(what, file=sys.stderr, flush=True)


def measure(page: Tab) -> dict[str, float]:
    """What Chromium counts of the page."""
    return {entry["name"]: entry["value"] for entry in page.call("Performance.getMetrics")["metrics"]}


def sample(page: Tab) -> dict[str, float]:
    """What the page holds, once all garbage is gone."""
    page.call("HeapProfiler.collectGarbage")
    return measure(page)


def processes(browser: Chromium) -> dict[str, float]:
    """Processor time (s) of the browser's processes so far, by kind."""
    found: dict[str, float] = {}
    for process in browser.call("SystemInfo.getProcessInfo")["processInfo"]:
        found[process["type"]] = found.get(process["type"], 0.0) + process["cpuTime"]
    return found


def stolen_s() -> float | None:
    """Processor time (s) that this machine has wanted and its host has given to others, since it was started."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split()
    except FileNotFoundError:
        return None
    return int(fields[8]) / os.sysconf("SC_CLK_TCK")


def watch(browser: Chromium, server: running.RunningServer, seconds: float, seen: Seen) -> None:
    """Leave the page open, and look at it now and then."""
    with open_page(browser, server.url, seen.faults) as page:
        page.call("Performance.enable", timeDomain="threadTicks")
        browser.wait(SETTLE_S)
        seen.samples.append(sample(page))
        begun, begun_s = server.metrics()["totals"]["messages"], time.monotonic()
        used, server_s, before_s = processes(browser), cpu_s(server.process.pid), stolen_s()
        for part in range(SAMPLES - 1):
            before = measure(page)
            page.evaluate("probe.go()")
            browser.wait(seconds / (SAMPLES - 1))
            page.evaluate("probe.hold()")
            after = measure(page)
            for name in SPENT:
                seen.spent_s[name] += after[name] - before[name]
            seen.samples.append(sample(page))
            say(f"  {seconds * (part + 1) / (SAMPLES - 1):.0f} s of {seconds:g} s")
        took_s = time.monotonic() - begun_s
        seen.rate = (server.metrics()["totals"]["messages"] - begun) / took_s
        seen.cpu = {kind: (spent - used.get(kind, 0.0)) / took_s for kind, spent in processes(browser).items()}
        seen.cpu["server"] = (cpu_s(server.process.pid) - server_s) / took_s
        after_s = stolen_s()
        seen.stolen = None if before_s is None or after_s is None else (after_s - before_s) / took_s
        seen.probe = page.evaluate("probe.read()")


def watch_floor(browser: Chromium) -> dict[str, Any]:
    """Count the frames of a page that does next to nothing."""
    with browser.tab(*WINDOW, PROBE, []) as page:
        page.open("about:blank")
        page.evaluate(FLOOR)
        browser.wait(SETTLE_S)
        page.evaluate("probe.go()")
        browser.wait(FLOOR_S)
        page.evaluate("probe.hold()")
        found: dict[str, Any] = page.evaluate("probe.read()")
        return found


def frames_per_s(probe: dict[str, Any]) -> float:
    """As a probe counted them."""
    return probe["frames"] / (probe["measuredMs"] / 1000)


def percentile(bins: list[list[int]], bin_ms: float, share: float) -> float:
    """Of counted intervals, in ms."""
    wanted = share * sum(count for _, count in bins)
    for number, count in bins:
        wanted -= count
        if wanted <= 0:
            return number * bin_ms
    return 0.0


def over(bins: list[list[int]], bin_ms: float, limit_ms: float) -> float:
    """Which share of the intervals was longer."""
    every = sum(count for _, count in bins)
    return sum(count for number, count in bins if number * bin_ms > limit_ms) / max(1, every)


def frame_rows(seen: Seen) -> list[str]:
    """Frames and what held them up."""
    probe = seen.probe
    bins, bin_ms, measured_s = probe["intervals"], probe["binMs"], probe["measuredMs"] / 1000
    shares = [f"{seen.spent_s[name] / measured_s:.1%}" for name in SPENT]
    busy_ms = seen.spent_s["TaskDuration"] * 1000
    long_ms = probe["longTaskMaxMs"]
    late = [over(bins, bin_ms, frames * FRAME_MS + FRAME_TOLERANCE_MS) for frames in (1, 2)]
    return [
        row("frames/s", f"{frames_per_s(probe):.1f}", "60", frames_per_s(probe) >= 59.5),
        row("frames/s of a page that does nothing; tasks of more than 50 ms",
            f"{frames_per_s(seen.floor):.1f}; {seen.floor['longTasks']}", "", None),
        row("between two frames, p50 / p99 / max ms",
            " / ".join(f"{percentile(bins, bin_ms, share):.1f}" for share in (0.5, 0.99, 1.0)), "16.7", None),
        row("frames later than 16.7 ms / than 33.3 ms", " / ".join(f"{share:.2%}" for share in late), "", None),
        row("tasks of more than 50 ms: count, the longest",
            f"{probe['longTasks']}, {long_ms:.0f} ms", "none", probe["longTasks"] == 0),
        row("main thread, of a core; script, layout, style", f"{shares[0]}; {', '.join(shares[1:])}", "", None),
        row("main thread, ms a frame / a book update",
            " / ".join(f"{busy_ms / max(1, probe[name]):.1f}" for name in ("frames", "checked")), "", None),
    ]  # fmt: skip


def page_rows(seen: Seen) -> list[str]:
    """What came, what is kept, and how the page began."""
    probe, measured_s = seen.probe, seen.probe["measuredMs"] / 1000
    first, middle, last = (seen.samples[at] for at in (0, len(seen.samples) // 2, -1))
    heap = [f"{sample['JSHeapUsedSize'] / BYTES_PER_MIB:.1f}" for sample in (first, middle, last)]
    is_flat = seen.growth("JSHeapUsedSize") <= HEAP_GROWTH_BYTES_MAX
    ladder_ms, paint_ms = (
        statistics.median(load[name] or 0.0 for load in seen.loads) for name in ("firstLadderMs", "firstPaintMs")
    )
    transfer = max(load["transferBytes"] for load in seen.loads)
    return [
        row("messages/s to the page; KiB/s", f"{probe['messages'] / measured_s:.1f}; "
            f"{probe['bytes'] / measured_s / 1024:.0f}", "", None),
        row("book updates/s, each checked by its CRC", f"{probe['checked'] / measured_s:.1f}", "20", None),
        row("JS heap after a collection: begin, middle, end MiB", " / ".join(heap), "flat", is_flat),
        row("DOM nodes: begin, end", f"{first['Nodes']:.0f} / {last['Nodes']:.0f}", "", None),
        row("event listeners: begin, end",
            f"{first['JSEventListeners']:.0f} / {last['JSEventListeners']:.0f}", "", None),
        row("first contentful paint, median ms", f"{paint_ms:.0f}", "", None),
        row("first ladder painted, median ms", f"{ladder_ms:.0f}", f"{FIRST_LADDER_MS:,}", ladder_ms < FIRST_LADDER_MS),
        row("bytes to the first view (as Chromium asks: br)", f"{transfer:,}", f"{TRANSFER_BYTES_MAX:,}",
            transfer < TRANSFER_BYTES_MAX),
    ]  # fmt: skip


def run(arguments: argparse.Namespace, folder: Path, path: str) -> Seen:
    """Gateway, server and browser, together on this machine."""
    recording, seen = folder / "market.dbn", Seen()
    made = ["simulate", "-o", recording, "--messages", arguments.records, "--instruments", arguments.instruments]
    say(f"simulating {arguments.records:,} records of {arguments.instruments} instruments")
    subprocess.run([running.COMMAND, *map(str, made)], check=True)
    say(f"a gateway sends them again and again at {arguments.rate:,} messages/s, a server reads")
    gateway = RunningGateway(recording, "--rate", arguments.rate, "--loop", "--as-if-now")
    source = f"live://GLBX.MDP3?symbols=ALL_SYMBOLS&gateway={gateway.address}"
    history = ["--history", str(folder / "history")] if arguments.history else []
    server = None
    try:
        server = running.RunningServer("--source", source, *history, env={"DATABENTO_API_KEY": KEY})
        server.wait_until_listening()
        server.wait_until_ready()
        with chromium(path) as browser:
            status = browser.call("SystemInfo.getInfo")["gpu"].get("featureStatus", {})
            version = browser.call("Browser.getVersion")["product"]
            seen.renderer = f"{version}, compositing: {status.get('gpu_compositing', 'unknown')}"
            say(f"loading the page {arguments.loads} times, each time with an empty cache")
            load_again_and_again(browser, server.url, arguments.loads, seen)
            say(f"leaving it open for {arguments.seconds:g} s, after {SETTLE_S:g} s")
            watch(browser, server, arguments.seconds, seen)
            say(f"leaving a page open that does nothing for {FLOOR_S:g} s")
            seen.floor = watch_floor(browser)
    finally:
        try:
            if server is not None:
                server.kill()
        finally:
            gateway.kill()
    return seen


def main() -> int:
    """-> 1 if something was wrong. Times are measured, not judged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="1800 for memory over half an hour")
    parser.add_argument("--rate", type=int, default=500_000, help="messages/s")
    parser.add_argument("--instruments", type=int, default=10)
    parser.add_argument("--records", type=int, default=RECORDS, help="of the recording, which is sent again and again")
    parser.add_argument("--loads", type=int, default=LOADS, help="how often the page is loaded for the times of that")
    parser.add_argument("--history", action="store_true", help="record what is served")
    arguments = parser.parse_args()
    path = chromium_path()
    if path is None:
        print("no Chromium; L3BOOK_CHROMIUM names one", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        try:
            seen = run(arguments, Path(folder), path)
        except DevToolsError as error:
            print(f"wrong: {error}", file=sys.stderr)
            return 1
    print(f"{seen.renderer}; a window of {WINDOW[0]} × {WINDOW[1]}; {arguments.seconds:g} s\n")
    print(row("", "measured", "goal", None))
    print(row("-" * 58, "-" * 21 + ":", "-" * 8 + ":", None))
    met = seen.rate >= 0.98 * arguments.rate
    print(row("messages/s through the server", f"{seen.rate:,.0f}", f"{arguments.rate:,}", met))
    cores = " / ".join(f"{seen.cpu.get(kind, 0.0):.2f}" for kind in ("server", "renderer", "GPU", "browser"))
    print(row("cores: server / page / compositor / browser", cores, "", None))
    stolen = "not known" if seen.stolen is None else f"{seen.stolen:.3f}"
    print(row("of a core, taken by others of the host", stolen, "", None))
    print("\n".join(frame_rows(seen) + page_rows(seen)))
    for slow in seen.probe["blamed"]:
        print(f"a frame of {slow['durationMs']:.0f} ms: {slow['scripts'] or 'no script'}", file=sys.stderr)
    complaints = seen.complaints()
    for complaint in complaints:
        print(f"wrong: {complaint}", file=sys.stderr)
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
