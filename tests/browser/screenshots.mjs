// Pictures of every page for docs/screenshots: 1440 and 390 px, light and dark; small, and made by one command.
import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { asVisitor, close, go, open, routeOf } from "./browser.mjs";
import { ask } from "./engine.mjs";
import { world } from "./world.mjs";

const FOLDER = new URL("../../docs/screenshots/", import.meta.url).pathname;
const SIZES = { wide: { width: 1440, height: 800 }, narrow: { width: 390, height: 844 } };
const HEIGHT_MAX = 1_100;
// Of what the canvas writes as WebP: letters stay sharp, and a picture takes 20 to 60 KB.
const QUALITY = 0.7;
const SUM_MAX = 3_000_000;

const { jobs } = world;
const [worst] = await ask(["error", "list", "--by", "hour", "--limit", "1"]);
const PAGES = {
  overview: "/",
  queues: "/queues",
  queue: "/queues/emails",
  jobs: "/jobs",
  search: "/jobs?q=state:dead+queue:invoices",
  dead: "/dead",
  errors: "/errors",
  error: `/errors/${encodeURIComponent(worst.fingerprint)}`,
  job: `/jobs/${jobs.dead}`,
  retrying: `/jobs/${jobs.retrying}`,
  edit: `/jobs/${jobs.dead}/edit`,
  bulk: `/operations/new?verb=retry&q=${encodeURIComponent(`state:dead error:${JSON.stringify(worst.fingerprint)}`)}`,
  selected: `/jobs/selected?verb=retry&job=${jobs.dead}&job=${jobs.crashed}&job=${jobs.active}`,
  operations: "/operations",
  events: "/events",
  workers: "/workers",
  worker: "/workers/worker-1",
};
// Where nobody is let in without a password.
const GUARDED = { login: "/login" };
// The other forms look as the one for an edit does; files and streams are no pages.
const OTHERS = /^\/(assets|live|metrics|operations\/\{|jobs\/\{job\}\/(payload|result|reschedule|cancel|duplicate|remove)|queues\/.*\/series|workers\/.*\/stop)/;

async function main() {
  const shown = new Set([...Object.values(PAGES), ...Object.values(GUARDED)].map((path) => routeOf("GET", path.split("?")[0])));
  const missing = world.routes.filter(({ method, path }) => method === "GET" && !OTHERS.test(path) && !shown.has(`GET ${path}`));
  if (missing.length) throw new Error(`no picture of ${missing.map(({ path }) => path).join(", ")}`);
  await mkdir(FOLDER, { recursive: true });
  for (const name of await readdir(FOLDER)) if (name.endsWith(".webp")) await rm(join(FOLDER, name));
  await open();
  try {
    for (const [size, viewport] of Object.entries(SIZES)) {
      for (const colorScheme of ["light", "dark"]) {
        await asVisitor({ viewport, colorScheme }, (page) => pictures(page, PAGES, size, colorScheme));
        const guarded = { viewport, colorScheme, baseURL: world.guarded };
        await asVisitor(guarded, (page) => pictures(page, GUARDED, size, colorScheme));
      }
    }
  } finally {
    await close();
  }
  await measured();
}

async function pictures(page, pages, size, colorScheme) {
  for (const [name, path] of Object.entries(pages)) {
    await go(page, path);
    const height = Math.min(HEIGHT_MAX, await page.evaluate(() => document.documentElement.scrollHeight));
    const clip = { x: 0, y: 0, width: SIZES[size].width, height: Math.max(height, 300) };
    const png = await page.screenshot({ fullPage: true, clip, animations: "disabled" });
    await writeFile(join(FOLDER, `${name}-${size}-${colorScheme}.webp`), await smaller(page.context(), png));
  }
}

/** The picture as WebP: the browser can write it, so that nothing else need be installed. */
async function smaller(context, png) {
  const page = await context.newPage();
  const url = await page.evaluate(
    async ([source, quality]) => {
      const bitmap = await createImageBitmap(await (await fetch(source)).blob());
      const canvas = Object.assign(document.createElement("canvas"), { width: bitmap.width, height: bitmap.height });
      canvas.getContext("2d").drawImage(bitmap, 0, 0);
      return canvas.toDataURL("image/webp", quality);
    },
    [`data:image/png;base64,${png.toString("base64")}`, QUALITY],
  );
  await page.close();
  return Buffer.from(url.split(",")[1], "base64");
}

async function measured() {
  const names = await readdir(FOLDER);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(FOLDER, name))).size));
  const sum = sizes.reduce((all, one) => all + one, 0);
  console.log(`${names.length} pictures, ${sum} bytes`);
  if (sum > SUM_MAX) throw new Error(`more than ${SUM_MAX} bytes in all`);
}

await main();
