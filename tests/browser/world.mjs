// What run.py tells of what it started, and the packages that it installed outside of this folder.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

/** dashboard, engine (URLs), cli, chromium, packages (paths), routes (the table), jobs (numbers by kind). */
export const world = JSON.parse(readFileSync(process.argv[2], "utf8"));

const require = createRequire(join(world.packages, "package.json"));

export const { chromium } = require("playwright-core");
export const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
