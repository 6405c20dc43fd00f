/**
 * Vite wraps each import of a part that is loaded later into a helper, which loads styles and files to come before it. Here is one
 * stylesheet, and nothing to load before: the import itself does, and the first file is 600 bytes smaller.
 */

import type { Plugin } from "vite";

const HELPER = "\0vite/preload-helper.js";

export function bareImports(): Plugin {
  return {
    name: "bare-imports",
    apply: "build",
    enforce: "pre",
    load: (id) => (id === HELPER ? "export const __vitePreload = (load) => load();" : null),
  };
}
