/**
 * The colours of the heat: viridis, whose lightness rises evenly, on black; on white the same hues the other way round,
 * from a pale one near the page's white to dark, so that in both themes what is large stands out most.
 */

export type Rgb = readonly [red: number, green: number, blue: number];

export const RAMP_STEPS = 256;

/** Matplotlib's viridis, each sixteenth. */
const VIRIDIS: readonly Rgb[] = [
  [68, 1, 84], [72, 26, 108], [71, 47, 125], [65, 68, 135], [57, 86, 140], [49, 104, 142], [42, 120, 142], [35, 136, 142], [31, 152, 139],
  [34, 168, 132], [53, 183, 121], [84, 197, 104], [122, 209, 81], [165, 219, 54], [210, 226, 27], [244, 230, 30], [253, 231, 37],
];
/** Of evenly falling lightness, from pale yellow over green and blue to the violet that viridis begins with. */
const VIRIDIS_ON_WHITE: readonly Rgb[] = [
  [244, 248, 218], [226, 240, 190], [200, 231, 172], [166, 219, 160], [126, 204, 154], [88, 186, 152], [58, 166, 151], [40, 145, 148],
  [38, 124, 144], [45, 103, 140], [54, 82, 135], [61, 61, 124], [63, 39, 104], [56, 14, 78],
];
/** The smallest size still differs from none: its colour is this far from the background. */
const FAINTEST = 0.45;
const FAINT_STEPS = 24;

/** Colours of sizes from none to the most, over this background. */
export function heatRamp(isLight: boolean, background: Rgb): Rgb[] {
  const stops = isLight ? VIRIDIS_ON_WHITE : VIRIDIS;
  return Array.from({ length: RAMP_STEPS }, (_, step) => {
    if (step === 0) return background;
    const colour = interpolate(stops, step / (RAMP_STEPS - 1));
    const opaque = Math.min(1, FAINTEST + ((1 - FAINTEST) * step) / FAINT_STEPS);
    return mix(background, colour, opaque);
  });
}

export function mix(from: Rgb, to: Rgb, share: number): Rgb {
  const between = (a: number, b: number): number => Math.round(a + (b - a) * share);
  return [between(from[0], to[0]), between(from[1], to[1]), between(from[2], to[2])];
}

/** Relative luminance as WCAG has it, 0 to 1. */
export function luminance([red, green, blue]: Rgb): number {
  const linear = (value: number): number => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

function interpolate(stops: readonly Rgb[], place: number): Rgb {
  const at = place * (stops.length - 1);
  const from = stops[Math.floor(at)];
  const to = stops[Math.min(stops.length - 1, Math.floor(at) + 1)];
  if (from === undefined || to === undefined) throw new Error(`no colour at ${place}`);
  return mix(from, to, at - Math.floor(at));
}
