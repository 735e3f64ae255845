// Jobs that are ticked in a list: what is done with them, with script and without, asked of the engine.
import assert from "node:assert/strict";
import { test } from "node:test";

import { asVisitor, follow, go, press } from "./browser.mjs";
import * as engine from "./engine.mjs";

const several = async (name, count, ...flags) => {
  const numbers = [];
  for (let at = 0; at < count; at += 1) numbers.push(await engine.add("picked", name, String(at), ...flags));
  return numbers;
};
const box = (page, number) => page.locator(`[data-test-job="${number}"] input`);
const states = async (numbers) => Promise.all(numbers.map(async (number) => (await engine.job(number)).state));

export function tests() {
  test("without script ticked jobs are cancelled with a reason, and the others are left", async () => {
    const numbers = await several("cancelled", 3);
    await asVisitor({ javaScriptEnabled: false }, async (page) => {
      await go(page, "/jobs?q=name:cancelled");
      await box(page, numbers[0]).check();
      await box(page, numbers[2]).check();
      assert.ok(await page.locator("[data-test-all]").isHidden());
      await press(page, "selected-cancel");
      assert.ok((await page.locator("[data-test-preview]").textContent()).startsWith("2 jobs: 2 waiting."));
      assert.equal(await page.locator("[data-test-job]").count(), 2);
      await page.locator("#reason").fill("not wanted");
      await press(page, "selected");
      await page.locator('[data-test-done="selected"]').waitFor();
      assert.equal(new URL(page.url()).searchParams.get("q"), "name:cancelled");
    });
    assert.deepEqual(await states(numbers), ["cancelled", "waiting", "cancelled"]);
  });

  test("all jobs of a page are ticked at once, run now, and removed after a confirmation", async () => {
    const numbers = await several("all", 3, "--delay", "1h");
    await asVisitor({}, async (page) => {
      const all = page.locator("[data-test-all]");
      await go(page, "/jobs?q=name:all");
      await all.check();
      await box(page, numbers[1]).uncheck();
      assert.equal(await all.isChecked(), false);
      await box(page, numbers[1]).check();
      assert.ok(await all.isChecked());
      await press(page, "selected-promote");
      await press(page, "selected");
      assert.deepEqual(await states(numbers), ["waiting", "waiting", "waiting"]);
      await all.check();
      await press(page, "selected-remove");
      await page.locator("[data-test-sure]").check();
      await press(page, "selected");
    });
    for (const number of numbers) await assert.rejects(engine.job(number), /no job/);
  });

  test("what a job's state does not allow is told job by job, and the others run again", async () => {
    const dead = await engine.run("dead", '{"error": "address"}', "--tag", "ticked");
    const waiting = await engine.add("picked", "mixed", "1", "--tag", "ticked");
    await asVisitor({}, async (page) => {
      await go(page, "/jobs?q=tag:ticked");
      await page.locator("[data-test-all]").check();
      await press(page, "selected-retry");
      assert.match(await page.locator("[data-test-preview]").textContent(), /^2 jobs: 1 waiting, 1 dead\./);
      await press(page, "selected");
      assert.equal(await page.locator("[data-test-selected-done]").getAttribute("data-test-selected-done"), "1");
      const refused = await page.locator(`[data-test-refused="${waiting}"]`).textContent();
      assert.ok(refused.includes("waiting"), refused);
      await follow(page, '[data-test-link="back"]');
      assert.equal(new URL(page.url()).searchParams.get("q"), "tag:ticked");
      assert.equal((await engine.job(waiting)).state, "waiting");
      await box(page, waiting).check();
      await press(page, "selected-cancel");
      await press(page, "selected");
    });
    await engine.until(() => engine.job(dead), (job) => job.leases.length === 2, "it ran again");
    assert.equal((await engine.job(waiting)).state, "cancelled");
  });

  test("a dead letter is ticked and run again from the page of dead letters", async () => {
    const dead = await engine.run("dead", '{"error": "address"}');
    await asVisitor({}, async (page) => {
      await go(page, "/dead?q=queue:tests");
      await box(page, dead).check();
      await press(page, "selected-retry");
      await press(page, "selected");
      assert.equal(new URL(page.url()).pathname, "/dead");
    });
    await engine.until(() => engine.job(dead), (job) => job.leases.length === 2, "it ran again");
  });
}
