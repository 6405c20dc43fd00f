import { defineConfig } from "vitest/config";
import { bareImports } from "./bare-imports.ts";
import { precompress } from "./precompress.ts";

/** Where `npm run dev` finds a running `l3book serve`. */
const DEV_SERVER = process.env["L3BOOK_SERVER"] ?? "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [bareImports(), precompress()],
  build: {
    outDir: "../python/l3book/static",
    emptyOutDir: true,
    // The page's content security policy allows no data: addresses, so every asset stays a file.
    assetsInlineLimit: 0,
    // Each file costs its headers, and styles together are compressed better.
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    // What several files share, and what is small, is in the first one: a file of a few hundred bytes has as many in its headers.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: "index", test: /src\/(main|settings|decimal|trade-run|feed\/fields|panes\/pane-head)\.ts$/ }] } } },
  },
  // The server takes sockets of pages of its own origin only.
  server: { proxy: { "/v1": { target: DEV_SERVER, ws: true, rewriteWsOrigin: true } } },
  test: {
    include: ["test/**/*.test.ts"],
    environment: "node",
    // Node 20 has WebSocket behind a flag; later ones have it anyway.
    execArgv: ["--experimental-websocket"],
  },
});
