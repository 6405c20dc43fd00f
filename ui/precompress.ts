/** Leaves every built file beside itself in Brotli and gzip, once and as small as can be; the server picks one. */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

const CODINGS: Readonly<Record<string, (content: Buffer) => Buffer>> = {
  br: (content) =>
    brotliCompressSync(content, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
        [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
      },
    }),
  gz: (content) => gzipSync(content, { level: constants.Z_BEST_COMPRESSION, memLevel: constants.Z_MAX_MEMLEVEL }),
};

export function precompress(): Plugin {
  return {
    name: "precompress",
    apply: "build",
    // After all is written: until then other plugins may change what a file holds.
    async writeBundle({ dir = "" }, bundle) {
      for (const name of Object.keys(bundle)) {
        const path = join(dir, name);
        const content = await readFile(path);
        for (const [ending, compress] of Object.entries(CODINGS)) {
          const coded = compress(content);
          if (coded.length < content.length) await writeFile(`${path}.${ending}`, coded);
        }
      }
    },
  };
}
