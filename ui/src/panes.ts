/**
 * The panes of the page. What the first ladder needs is part of the page's first script; everything else is fetched
 * when that has been painted.
 */

import type { PaneClass, PaneName } from "./pane";
import { DepthPane } from "./panes/depth";
import { HealthPane } from "./panes/health";
import { LadderPane } from "./panes/ladder";

/** Made at once. */
export const FIRST_PANES: readonly (readonly [PaneName, PaneClass])[] = [
  ["ladder", LadderPane],
  ["depth", DepthPane],
  ["health", HealthPane],
];

/** Made after the first paint, in this order. One line each: ["tape", async () => (await import("./panes/tape")).TapePane]. */
export const LATER_PANES: readonly (readonly [PaneName, () => Promise<PaneClass>])[] = [
  ["replay", async () => (await import("./panes/past-and-order")).ReplayPane],
  ["heatmap", async () => (await import("./panes/heatmap")).HeatmapPane],
  ["tape", async () => (await import("./panes/tape")).TapePane],
  ["inspector", async () => (await import("./panes/past-and-order")).InspectorPane],
];

/** Made when the performance page is opened first. */
export const PERFORMANCE_PANE: () => Promise<PaneClass> = async () => (await import("./panes/performance")).PerformancePane;
