// An operation that runs is stopped from its page. After all other tests: while it lasts the engine has much to do.
import assert from "node:assert/strict";
import { test } from "node:test";

import { asVisitor, go } from "./browser.mjs";
import * as engine from "./engine.mjs";

// An operation over so many jobs takes about a second; on a machine on which a browser takes longer than that to press a
// button, it is tried with twice as many, and again.
const JOBS = [200_000, 400_000, 800_000];

const show = async (number) => (await engine.ask(["operation", "show", number]))[0];
const LINE = '{"name": "n", "payload": 1, "delay_ms": 3600000}\n';

/** Begins an operation on all jobs of a queue and stops it as soon as its page is there: its number. */
async function beginAndStop(page, visitor, queue) {
  // It may have ended a moment before: that is refused.
  visitor.statuses.push(409);
  await go(page, `/operations/new?verb=cancel&q=queue:${queue}`);
  await page.locator("#reason").fill("a browser test");
  await Promise.all([page.waitForURL(/operations\/\d+$/), page.locator('[data-test-button="operation"]').click()]);
  const number = new URL(page.url()).pathname.split("/").pop();
  const stop = page.locator('[data-test-button="cancel-operation"]');
  const answer = page.waitForResponse((response) => response.request().method() === "POST");
  const ended = page.locator('[data-test-operation="finished"]').waitFor();
  // Whichever does not come to pass is given up with its page.
  await Promise.race([Promise.all([answer, stop.click()]), ended].map((one) => one.catch(() => {})));
  await engine.until(() => show(number), ({ state }) => state !== "running", "it has ended");
  return number;
}

export function tests() {
  test("an operation that runs is stopped from its page, and goes no further", async () => {
    for (const jobs of JOBS) {
      const queue = `stopped-${jobs}`;
      await engine.ask(["enqueue", queue, "--file", "-"], LINE.repeat(jobs));
      let number;
      await asVisitor({}, async (page, visitor) => (number = await beginAndStop(page, visitor, queue)));
      const { state, changed, looked_at } = await show(number);
      if (state === "finished") continue;
      assert.equal(state, "cancelled");
      assert.ok(changed > 0 && changed < jobs && looked_at === changed, `${changed} of ${jobs}, ${looked_at} looked at`);
      assert.equal((await engine.queue(queue)).counts.delayed, jobs - changed);
      // One at a time, the oldest first: had it gone on, it would have come before this one.
      await engine.ask(["dead", "redrive", "--queue", queue]);
      assert.equal((await show(number)).changed, changed);
      return;
    }
    assert.fail("each operation had ended before it could be stopped");
  });
}
