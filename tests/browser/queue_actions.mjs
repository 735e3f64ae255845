// What can be done with a queue and with many jobs: done in the browser, and asked of the engine.
import assert from "node:assert/strict";
import { test } from "node:test";

import { asVisitor, follow, go, press } from "./browser.mjs";
import * as engine from "./engine.mjs";

export function tests() {
  test("a queue is paused with a reason, and goes on", async () => {
    await engine.add("halted", "n", "1");
    await asVisitor({}, async (page) => {
      await go(page, "/queues/halted");
      await page.locator("#pause-reason").fill("the <b>printer</b> is on fire");
      await press(page, "pause");
      const { paused, pause_reason: reason } = await engine.queue("halted");
      assert.ok(paused && reason.endsWith("the <b>printer</b> is on fire"), reason);
      assert.ok((await page.locator("main").textContent()).includes("the <b>printer</b> is on fire"));
      await press(page, "resume");
      assert.equal((await engine.queue("halted")).paused, false);
    });
  });

  test("the overview's queues are sorted by what is pressed", async () => {
    await asVisitor({}, async (page) => {
      await go(page, "/");
      for (const word of ["dead", "waiting", "active", "oldest", "name"]) {
        await follow(page, `[data-test-sort="${word}"]`);
        assert.equal(await page.locator(`[data-test-sort="${word}"]`).getAttribute("aria-current"), "true");
        if (word !== "dead") continue;
        const queues = await engine.ask(["queue", "list"]);
        const most = Math.max(...queues.map(({ counts }) => counts.dead));
        const first = await page.locator("[data-test-queue]").first().getAttribute("data-test-queue");
        assert.equal(queues.find(({ queue }) => queue === first).counts.dead, most, first);
      }
    });
  });

  test("a queue's settings are set, shown with who set them, and given back", async () => {
    await engine.add("tuned", "n", "1");
    const attempts = async () => (await engine.queue("tuned")).settings.find(({ setting }) => setting === "attempts");
    await asVisitor({}, async (page) => {
      await go(page, "/queues/tuned");
      await page.locator('[data-test-input="attempts"]').fill("5");
      await page.locator('[data-test-input="lease"]').fill("1m");
      await press(page, "settings");
      assert.equal((await attempts()).value, 5);
      assert.equal(await page.locator('[data-test-input="attempts"]').inputValue(), "5");
      await page.locator('[data-test-input="attempts"]').fill("");
      await press(page, "settings");
      const { value, from } = await attempts();
      assert.deepEqual([value, from], [16, "default"]);
    });
  });

  test("many dead jobs are found by their cause, looked at, and run again at once", async () => {
    for (const at of [1, 2, 3]) await engine.run("dead", '{"error": "address"}', "--tag", "many", "--priority", at);
    await asVisitor({}, async (page) => {
      await go(page, "/dead");
      await page.locator("#search-dead").fill("queue:tests tag:many");
      await Promise.all([page.waitForNavigation(), page.locator("#search-dead").press("Enter")]);
      await follow(page, '[data-test-bulk="retry"]');
      assert.ok((await page.locator("[data-test-preview]").textContent()).startsWith("3 jobs match"));
      await page.locator("#reason").fill("the mailbox is back");
      await press(page, "operation");
      await page.locator('[data-test-operation="finished"]').waitFor();
      const number = new URL(page.url()).pathname.split("/").pop();
      const [operation] = await engine.ask(["operation", "show", number]);
      assert.deepEqual([operation.verb, operation.changed, operation.reason], ["retry", 3, "the mailbox is back"]);
    });
    const retried = () => engine.ask(["job", "list", "--tag", "many"]);
    const jobs = await engine.until(retried, (jobs) => jobs.every((job) => job.state === "dead"), "they failed again");
    for (const { number } of jobs) assert.equal((await engine.job(number)).leases.length, 2);
  });

  test("an operation that has ended meanwhile is not stopped, and the answer says so", async () => {
    await asVisitor({}, async (page, visitor) => {
      await go(page, "/operations/new?verb=promote&q=queue:imports");
      await press(page, "operation");
      const number = new URL(page.url()).pathname.split("/").pop();
      const ended = () => engine.ask(["operation", "show", number]);
      await engine.until(ended, ([operation]) => operation.state !== "running", "it has ended");
      // The form of a page that was made while it ran: this one ends too soon for anybody to see it there.
      await page.evaluate((action) => {
        const form = Object.assign(document.createElement("form"), { method: "post", action });
        form.dataset.testForm = "cancel-operation";
        const button = document.createElement("button");
        button.dataset.testButton = "cancel-operation";
        form.append(button);
        button.append("Stop it here");
        document.querySelector("main").append(form);
      }, `/operations/${number}/cancel`);
      visitor.statuses.push(409);
      await press(page, "cancel-operation");
      assert.equal((await ended())[0].state, "finished");
    });
  });
}
