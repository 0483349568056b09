// Bundle plotly.js' core with the trace types of trace_types.json and write it, minified and gzipped, into the package.
//
//   npm install && npm run build        (from this folder; needs Node 20 or later)
//
// Writes ../../tradelab/report/assets/plotly-bundle.min.js.gz and plotly-bundle.json (version and trace types).
import { build } from "esbuild";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const assets = join(here, "..", "..", "tradelab", "report", "assets");
const { version } = createRequire(import.meta.url)("plotly.js/package.json");
const types = JSON.parse(readFileSync(join(here, "trace_types.json"), "utf8"));

// scatter is part of the core; the others register themselves on it.
const registered = types.filter((type) => type !== "scatter").map((type) => `require("plotly.js/lib/${type}")`);
const entry = `const Plotly = require("plotly.js/lib/core");\nPlotly.register([${registered}]);\nmodule.exports = Plotly;\n`;

const result = await build({
  stdin: { contents: entry, resolveDir: here },
  bundle: true,
  minify: true,
  format: "iife",
  globalName: "Plotly",
  platform: "browser",
  target: "es2020",
  define: { global: "window" },
  loader: { ".css": "empty" }, // only the map traces, which we leave out, want it
  legalComments: "none",
  banner: { js: `/*! plotly.js v${version} (partial bundle), Copyright Plotly, Inc., MIT licence */` },
  footer: { js: "window.Plotly=Plotly;" },
  write: false,
});
const code = Buffer.from(result.outputFiles[0].contents);
const packed = gzipSync(code, { level: 9 });
writeFileSync(join(assets, "plotly-bundle.min.js.gz"), packed);
writeFileSync(join(assets, "plotly-bundle.json"), JSON.stringify({ plotly_js: version, trace_types: types }, null, 2) + "\n");
console.log(`plotly.js ${version}: ${types.length} trace types, ${code.length} bytes, ${packed.length} gzipped`);
