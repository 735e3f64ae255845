// Failures by their cause: which jobs failed lately, why, and run again, in as few clicks as it takes.
import assert from "node:assert/strict";
import { test } from "node:test";

import { asVisitor, follow, go, press } from "./browser.mjs";
import * as engine from "./engine.mjs";

const group = (text) => `[data-test-error-group*="${text}"]`;

export function tests() {
  test("what failed within an hour is found by its cause, and run again, in three clicks", async () => {
    const numbers = [];
    for (let at = 0; at < 2; at += 1) numbers.push(await engine.run("dead", '{"error": "quota"}'));
    await asVisitor({}, async (page) => {
      await go(page, "/");
      await follow(page, '[data-test-nav="Errors"]');
      assert.ok((await page.locator(group("quota exceeded")).textContent()).includes("tests"));
      await follow(page, `${group("quota exceeded")} [data-test-again]`);
      assert.ok((await page.locator("[data-test-preview]").textContent()).startsWith("2 jobs match"));
      await press(page, "operation");
      await page.locator('[data-test-operation="finished"]').waitFor();
      const [operation] = await engine.ask(["operation", "show", new URL(page.url()).pathname.split("/").pop()]);
      assert.deepEqual([operation.verb, operation.changed], ["retry", 2]);
    });
    for (const number of numbers) {
      const again = (job) => job.state === "dead" && job.leases.length === 2;
      await engine.until(() => engine.job(number), again, "it ran again");
    }
  });

  test("a cause counts what comes, and leads to its jobs", async () => {
    const first = await engine.run("dead", '{"error": "address"}');
    await asVisitor({}, async (page) => {
      await go(page, "/errors");
      await follow(page, `${group("no such mailbox")} a`);
      await page.locator(`#error [data-test-sample="${first}"]`).waitFor();
      const second = await engine.run("dead", '{"error": "address"}');
      await page.locator(`#error [data-test-sample="${second}"]`).waitFor();
      const [found] = await engine.ask(["error", "list", "--contains", "no such mailbox"]);
      assert.ok(found.count >= 2 && found.jobs.includes(second), JSON.stringify(found));
    });
  });
}
