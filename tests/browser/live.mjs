// Pages change by themselves when the engine does; what one reads or selects holds still.
import assert from "node:assert/strict";
import { test } from "node:test";

import { asVisitor, follow, go } from "./browser.mjs";
import * as engine from "./engine.mjs";

export function tests() {
  test("a job's page follows the job, without a reload", async () => {
    const number = await engine.add("live", "watched", "1");
    await asVisitor({}, async (page) => {
      await go(page, `/jobs/${number}`);
      await page.evaluate(() => (window.stayed = true));
      await page.locator("#job .s-waiting").waitFor();
      await engine.ask(["job", "cancel", number]);
      await page.locator("#job .s-cancelled").waitFor();
      assert.ok(await page.evaluate(() => window.stayed));
    });
  });

  test("the overview and a queue's page count what comes", async () => {
    await engine.add("counted", "n", "1");
    for (const [path, place] of [
      ["/", '[data-test-queue="counted"] [data-test-count="waiting"]'],
      ["/queues/counted", '[data-test-live="queue"] [data-test-count="waiting"]'],
    ]) {
      await asVisitor({}, async (page) => {
        await go(page, path);
        const before = Number(await page.locator(place).textContent());
        assert.equal(before, (await engine.queue("counted")).counts.waiting);
        await engine.add("counted", "n", "2");
        await page.locator(`${place}:has-text("${before + 1}")`).waitFor();
      });
    }
  });

  test("a list of jobs holds still and says how many came since", async () => {
    const numbers = [await engine.add("fresh", "n", "1")];
    await asVisitor({}, async (page) => {
      const rows = page.locator("[data-test-job]");
      await go(page, "/jobs?q=queue:fresh");
      assert.ok(await page.locator("[data-test-new]").isHidden());
      const before = await rows.first().boundingBox();
      for (const payload of ["2", "3"]) numbers.push(await engine.add("fresh", "n", payload));
      await page.locator('[data-test-new]:has-text("2 jobs came since, of any kind")').waitFor();
      assert.equal(await rows.count(), 1);
      assert.deepEqual(await rows.first().boundingBox(), before);
      await follow(page, "[data-test-new]");
      const shown = await rows.evaluateAll((nodes) => nodes.map((node) => Number(node.dataset.testJob)));
      assert.deepEqual(shown.sort((one, other) => one - other), numbers);
      await go(page, "/jobs");
      await engine.add("fresh", "n", "4");
      await page.locator('[data-test-new]:has-text(" new — show")').waitFor();
    });
  });

  test("Prometheus is told of each page that is kept up to date", async () => {
    await asVisitor({}, async (page) => {
      await go(page, "/queues/counted");
      const other = await page.context().newPage();
      const told = async () => {
        await go(other, "/metrics");
        return await other.locator("body").innerText();
      };
      const viewers = (text) => Number(/^longshore_dashboard_viewers (\d+)$/m.exec(text)[1]);
      const text = await engine.until(told, (text) => viewers(text) > 0, "somebody watches");
      assert.match(text, /^longshore_dashboard_requests_total\{route="GET \/queues\/\{queue\}",status="200"\} \d+$/m);
    });
  });

  test("what is selected holds still until it is let go", async () => {
    const number = await engine.add("live", "held", "1");
    await asVisitor({}, async (page) => {
      await go(page, `/jobs/${number}`);
      await page.evaluate(() => document.getSelection().selectAllChildren(document.querySelector("#job .facts")));
      // Told by the page's own connection: the update has come when the engine's next one has, in another window.
      const other = await page.context().newPage();
      await go(other, `/jobs/${number}`);
      await engine.ask(["job", "cancel", number]);
      await other.locator("#job .s-cancelled").waitFor();
      assert.equal(await page.locator("#job .s-waiting").count(), 1);
      await page.bringToFront();
      await page.evaluate(() => document.getSelection().removeAllRanges());
      await page.locator("#job .s-cancelled").waitFor();
    });
  });
}
