// The search and the theme: what leads elsewhere and changes nothing in the engine.
import assert from "node:assert/strict";
import { test } from "node:test";

import { asVisitor, follow, go, press } from "./browser.mjs";
import * as engine from "./engine.mjs";
import { world } from "./world.mjs";

export function tests() {
  test("the search box finds what the engine finds, and its chips and tabs narrow and widen", async () => {
    const wanted = await engine.ask(["job", "list", "--state", "dead", "--queue", "invoices"]);
    await asVisitor({}, async (page) => {
      await go(page, "/");
      await page.locator("#search").fill("state:dead queue:invoices");
      await Promise.all([page.waitForNavigation(), page.locator("#search").press("Enter")]);
      assert.deepEqual((await rows(page)).sort(), wanted.map((job) => String(job.number)).sort());
      await follow(page, '[data-test-chip]:has-text("state:dead")');
      assert.equal(new URL(page.url()).searchParams.get("q"), "queue:invoices");
      assert.ok((await rows(page)).includes(String(world.jobs.retrying)));
      await follow(page, '[data-test-tab="retrying"]');
      assert.deepEqual(await rows(page), [String(world.jobs.retrying)]);
    });
  });

  test("what died in the last hour is found, and the hour is kept in the address", async () => {
    const died = await engine.ask(["dead", "list", "--since", "1h"]);
    assert.ok(died.length > 0);
    await asVisitor({}, async (page) => {
      await go(page, "/errors");
      await follow(page, "[data-test-last-hour]");
      assert.equal(new URL(page.url()).searchParams.get("q"), "since:1h");
      assert.deepEqual((await rows(page)).sort(), died.map((job) => String(job.number)).sort());
      await go(page, "/jobs?q=state:dead+until:1h");
      assert.deepEqual(await rows(page), []);
      await follow(page, '[data-test-chip]:has-text("until:1h")');
      assert.deepEqual((await rows(page)).sort(), died.map((job) => String(job.number)).sort());
    });
  });

  test("an operation has the time that its search meant, and what is no time is refused", async () => {
    await engine.ask(["enqueue", "timed", "--file", "-"], '{"name": "walk", "payload": 1}\n{"name": "walk", "payload": 2}');
    await asVisitor({}, async (page, visitor) => {
      await go(page, "/jobs?q=queue:timed+since:1h");
      await follow(page, '[data-test-bulk="cancel"]');
      const told = await page.locator("[data-test-preview]").textContent();
      const [, since] = told.match(/^2 jobs match queue:timed since:(\S+Z)\./);
      await press(page, "operation");
      await page.locator('[data-test-operation="finished"]').waitFor();
      const [operation] = await engine.ask(["operation", "show", new URL(page.url()).pathname.split("/").pop()]);
      assert.deepEqual([operation.changed, operation.filter.since_ms], [2, Date.parse(since)]);
      visitor.statuses.push(400);
      await page.goto("/jobs?q=since:yesterday");
      assert.match(await page.locator("main").textContent(), /since is yesterday; allowed: how long ago/);
    });
  });

  test("a list is walked through page after page, each job once", async () => {
    const lines = Array.from({ length: 120 }, (_, at) => JSON.stringify({ name: "walk", payload: at })).join("\n");
    await engine.ask(["enqueue", "walked", "--file", "-"], lines);
    await asVisitor({}, async (page) => {
      await go(page, "/jobs?q=queue:walked");
      const found = await rows(page);
      while (await page.locator("[data-test-next]").count()) {
        await follow(page, "[data-test-next]");
        found.push(...(await rows(page)));
      }
      assert.equal(found.length, 120);
      assert.equal(new Set(found).size, 120);
      await follow(page, "[data-test-first]");
      assert.equal((await rows(page)).length, 50);
    });
  });

  test("the theme is chosen by its buttons, and stays", async () => {
    await asVisitor({ colorScheme: "light" }, async (page) => {
      await go(page, "/jobs");
      const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const light = await ground();
      await press(page, "theme-dark");
      assert.equal(new URL(page.url()).pathname, "/jobs");
      const dark = await ground();
      assert.notEqual(dark, light);
      await go(page, "/");
      assert.equal(await ground(), dark);
      await press(page, "theme-light");
      assert.equal(await ground(), light);
      await press(page, "theme-auto");
      assert.equal(await ground(), light);
      await page.emulateMedia({ colorScheme: "dark" });
      assert.equal(await ground(), dark);
    });
  });
}

const rows = (page) =>
  page.locator("[data-test-job]").evaluateAll((nodes) => nodes.map((node) => node.dataset.testJob));

