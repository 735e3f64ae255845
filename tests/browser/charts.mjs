// Charts of a queue: drawn from what the engine says, looked into by the mouse, going on by themselves; a picture and a
// table without script.
import assert from "node:assert/strict";
import { test } from "node:test";

import { asVisitor, follow, go } from "./browser.mjs";
import * as engine from "./engine.mjs";

/** What the page asks for, as the page does. */
const numbers = (page, query = "") =>
  page.evaluate(async (more) => {
    const url = document.querySelector("[data-series]").dataset.series + more;
    return (await fetch(url)).json();
  }, query);

const enqueued = ({ charts }) => charts[0].lines[0].values.reduce((sum, value) => sum + value, 0);

export function tests() {
  test("a queue's charts show what the engine counted, are zoomed into, and go on", async () => {
    const add = () => Promise.all([1, 2, 3].map((n) => engine.add("charted", n === 1 ? "rare" : "often", "1")));
    await add();
    await asVisitor({}, async (page) => {
      await go(page, "/queues/charted?range=24h");
      await follow(page, 'nav[aria-label="Range"] a[href*="range=1h"]');
      await page.locator("#charts.drawn .uplot canvas").nth(2).waitFor();
      const place = page.locator("#charts");
      const until = () => place.getAttribute("data-until");
      const before = await until();
      await zoomed(page);
      // The end goes on by itself: the jobs are in it as soon as their ten seconds are over.
      await page.waitForFunction((then) => document.querySelector("#charts").dataset.until !== then, before);
      const [told] = await engine.ask(["queue", "stats", "charted", "--json"]);
      const found = await engine.until(() => numbers(page), (all) => enqueued(all) > 0, "the bucket is over");
      assert.deepEqual([enqueued(found), told.total.counts.enqueued], [3, 3]);
      assert.equal(enqueued(await numbers(page, "&points=359")), 3);
      await follow(page, '[data-test-names] a[href*="name=often"]');
      assert.equal(enqueued(await numbers(page)), 2);
      const legend = page.locator('[data-test-chart="throughput"] .u-legend');
      await page.locator('[data-test-chart="throughput"] .u-over').hover();
      assert.match(await legend.textContent(), /UTC.*\d\d:\d\d:\d\d.*enqueued.*\d\/s/);
    });
  });

  test("without script charts are pictures, and their figures a table", async () => {
    await engine.add("pictured", "n", "1");
    await asVisitor({ javaScriptEnabled: false }, async (page) => {
      await go(page, "/queues/pictured");
      assert.equal(await page.locator("#charts .plot > svg").count(), 3);
      await page.locator("[data-test-figures] summary").click();
      const row = page.locator("[data-test-figures] tbody tr").first();
      assert.match(await row.textContent(), /all together1/);
    });
  });
}

/** Drags over the middle of the first chart, and goes back to the whole. */
async function zoomed(page) {
  const over = page.locator('[data-test-chart="throughput"] .u-over');
  const { x, y, width, height } = await over.boundingBox();
  await page.mouse.move(x + width / 4, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width / 2, y + height / 2, { steps: 4 });
  await page.mouse.up();
  await page.locator('[data-test-button="whole-range"]').click();
  await page.locator('[data-test-button="whole-range"]').waitFor({ state: "hidden" });
}
