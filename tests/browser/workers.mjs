// What can be told a worker: quiet, resume, stop, each until the worker itself has done it.
import assert from "node:assert/strict";
import { test } from "node:test";

import { asVisitor, follow, go, press } from "./browser.mjs";
import * as engine from "./engine.mjs";

const WORKER = "worker-2";

/** What the engine says it does; nothing once it is not known any more. */
const state = async () => (await engine.ask(["worker", "list"])).find(({ worker }) => worker === WORKER)?.state;

const until = (...wanted) => engine.until(state, (found) => wanted.includes(found), `${WORKER} is ${wanted}`);

export function tests() {
  test("a worker is told to take no new jobs, to take them again, and to stop; its page follows", async () => {
    await until("running");
    await asVisitor({}, async (page) => {
      await go(page, "/workers");
      await follow(page, `[data-test-worker="${WORKER}"] a`);
      await press(page, "quiet");
      await until("quiet");
      await page.locator('#worker [data-test-state="quiet"]').waitFor();
      await press(page, "resume");
      await until("running");
      await page.locator('#worker [data-test-state="running"]').waitFor();
      await follow(page, '[data-test-link="stop"]');
      await page.locator("#reason").fill("a browser test");
      await press(page, "stop");
      await until("gone", undefined);
      assert.ok(await page.locator("main").isVisible());
    });
  });
}
