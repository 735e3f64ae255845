// The feed as people look at it: what happened, what happens now, a part of it, and further back; with script and without.
import assert from "node:assert/strict";
import { test } from "node:test";

import { asVisitor, follow, go, press } from "./browser.mjs";
import * as engine from "./engine.mjs";
import { world } from "./world.mjs";

const rows = (page, kind = "") => page.locator(`[data-test-event${kind && `="${kind}"`}]`);
const kinds = (page) => rows(page).evaluateAll((nodes) => nodes.map((node) => node.dataset.testEvent));

/** Of these, events that others wait for would be among what is skipped. */
export function alone() {
  test("a flood is not followed event by event: the page has its bounded rows and says what it skipped", async () => {
    await asVisitor({}, async (page) => {
      await go(page, "/events");
      const lines = Array.from({ length: 3_000 }, (_, at) => JSON.stringify({ payload: at })).join("\n");
      await engine.ask(["enqueue", "flood", "--file", "-", "--name", "n", "--delay", "1h"], lines);
      await page.locator("span[data-test-skipped]").waitFor();
      assert.ok((await rows(page).count()) <= 100);
      await go(page, "/events?queue=flood");
      assert.equal(await rows(page, "enqueued").count(), 100);
    });
  });
}

export function tests() {
  test("without script the newest events are there with who did what and why, and the older ones by a link", async () => {
    await engine.add("told", "n", "0");
    await engine.ask(["queue", "pause", "told", "--actor", "ann", "--because", "the <b>mail</b> server is down"]);
    const lines = Array.from({ length: 119 }, (_, at) => JSON.stringify({ payload: at })).join("\n");
    await engine.ask(["enqueue", "told", "--file", "-", "--name", "n"], lines);
    await asVisitor({ javaScriptEnabled: false }, async (page) => {
      await go(page, "/events");
      assert.equal(await rows(page).count(), 100);
      await page.locator('[name="queue"]').fill("told");
      await press(page, "filter-events");
      assert.ok(page.url().includes("queue=told"), page.url());
      const shown = await kinds(page);
      assert.deepEqual([...new Set(shown)], ["enqueued"]);
      assert.ok(await page.locator('[data-test-button="pause-events"]').isHidden());
      const ids = () => rows(page).evaluateAll((nodes) => nodes.map((node) => node.id));
      const first = await ids();
      await follow(page, "[data-test-next]");
      const older = await ids();
      assert.equal(older.filter((id) => first.includes(id)).length, 0);
      // 120 jobs, the queue, its pause.
      assert.equal(first.length + older.length, 122);
      const paused = await rows(page, "queue-paused").textContent();
      assert.ok(paused.includes("by ann: the <b>mail</b> server is down"), paused);
      await follow(page, "[data-test-first]");
      assert.deepEqual(await ids(), first);
    });
  });

  test("events are shown by kind and by job, and a job and a queue lead to theirs", async () => {
    await asVisitor({}, async (page) => {
      await go(page, "/events");
      await follow(page, '[data-test-tab="failures"]');
      const failures = new Set(await kinds(page));
      assert.ok(failures.has("failed") && [...failures].every((kind) => ["failed", "lease-expired", "expired"].includes(kind)));
      await go(page, `/jobs/${world.jobs.dead}`);
      await follow(page, '[data-test-link="events"]');
      assert.deepEqual((await kinds(page)).reverse(), ["enqueued", "leased", "logged", "failed", "came-due", "leased", "logged", "failed"]);
      const [last] = await rows(page, "failed").allTextContents();
      assert.match(last, /in .+ by worker-1: .+, dead: exhausted/);
      await page.locator("[data-test-raw] summary").first().click();
      assert.ok((await page.locator("[data-test-raw] pre").first().textContent()).includes('"exhausted"'));
      await page.locator('select[name="event"]').selectOption("leased");
      await press(page, "filter-events");
      assert.deepEqual(await kinds(page), ["leased", "leased"]);
      await go(page, "/queues/reports");
      await follow(page, '[data-test-link="events"]');
      assert.ok((await kinds(page)).includes("queue-paused"));
    });
  });

  test("a kind that there is not is refused by name", async () => {
    await asVisitor({}, async (page, visitor) => {
      visitor.statuses.push(400);
      await page.goto("/events?event=explosions");
      assert.ok((await page.locator("main").textContent()).includes("event is explosions"));
    });
  });

  test("what happens is there without a reload, stands still at a button, and goes on", async () => {
    await engine.add("tail", "n", "0");
    await asVisitor({}, async (page) => {
      await go(page, "/events?queue=tail");
      await page.evaluate(() => (window.stayed = true));
      const count = async (least) => {
        await page.waitForFunction((least) => document.querySelectorAll('[data-test-event="enqueued"]').length >= least, least);
      };
      await count(1);
      await engine.add("tail", "n", "1");
      await count(2);
      const pause = page.locator('[data-test-button="pause-events"]');
      await pause.click();
      assert.equal(await pause.textContent(), "Go on");
      // Another window's stream says when the update has come.
      const other = await page.context().newPage();
      await go(other, "/events?queue=tail");
      await engine.add("tail", "n", "2");
      await other.waitForFunction(() => document.querySelectorAll('[data-test-event="enqueued"]').length >= 3);
      await page.bringToFront();
      assert.equal(await rows(page, "enqueued").count(), 2);
      await pause.click();
      await count(3);
      assert.ok(await page.evaluate(() => window.stayed));
    });
  });
}
