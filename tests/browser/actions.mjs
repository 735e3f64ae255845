// What can be done with a job: each thing is done in the browser, and whether it happened is asked of the engine.
import assert from "node:assert/strict";
import { test } from "node:test";

import { asVisitor, follow, go, press } from "./browser.mjs";
import * as engine from "./engine.mjs";

const FAILS = '{"error": "address"}';

/** Does something on a job's page: by its link to a form, filled in by `fill`, or by its button. */
async function act(number, verb, done, fill) {
  await asVisitor({}, async (page) => {
    await go(page, `/jobs/${number}`);
    if (fill) {
      await follow(page, `[data-test-link="${verb}"]`);
      await page.locator("#reason").fill("a browser test");
      await fill(page);
    }
    await press(page, verb);
    await page.locator(`[data-test-done="${done}"]`).waitFor();
  });
}

/** Sends an edit to be looked at: the difference has these, taken out and put in. */
async function reviewed(page, parts) {
  await press(page, "edit");
  const shown = page.locator("[data-test-diff]").locator("del, ins");
  assert.deepEqual((await shown.allTextContents()).filter((text) => /\w/.test(text)).join(""), parts.join(""));
  assert.equal(await page.locator("#reason").inputValue(), "a browser test");
}

const nothing = async () => {};
const delayed = () => engine.add("acted", "later", "1", "--delay", "1h");

export function tests() {
  test("a dead job is run again by its button", async () => {
    const number = await engine.run("dead", FAILS);
    await act(number, "retry", "retried");
    const again = await engine.until(() => engine.job(number), (job) => job.leases.length === 2, "it ran again");
    assert.equal(again.round, 2);
  });

  test("a delayed job is promoted, another rescheduled", async () => {
    const [promoted, moved] = [await delayed(), await delayed()];
    await act(promoted, "promote", "promoted");
    assert.equal((await engine.job(promoted)).state, "waiting");
    const before = (await engine.job(moved)).at_ms;
    await act(moved, "reschedule", "rescheduled", (page) => page.locator("#delay").fill("3h"));
    const { state, at_ms: after } = await engine.job(moved);
    assert.equal(state, "delayed");
    assert.ok(after - before > 7_000_000, `${before} ${after}`);
  });

  test("a job is edited; a dead one edited and run again", async () => {
    const [waiting, dead] = [await delayed(), await engine.run("dead", FAILS)];
    await act(waiting, "edit", "edited", async (page) => {
      assert.equal(await page.locator("[data-test-payload]").inputValue(), "1");
      await page.locator("[data-test-payload]").fill('{"to": "zoe"}');
      await page.locator("#priority").fill("7");
      await reviewed(page, ["1", '{"to": "zoe"}']);
      assert.equal((await engine.job(waiting)).payload, 1, "nothing is changed yet");
    });
    const { payload, priority } = await engine.job(waiting);
    assert.deepEqual([payload, priority], [{ to: "zoe" }, 7]);
    await act(dead, "edit", "edited-retried", async (page) => {
      await page.locator("[data-test-payload]").fill('{"to": "mia"}');
      await reviewed(page, ["error", "to", "address", "mia"]);
    });
    const again = await engine.until(() => engine.job(dead), (job) => job.state === "completed", "the edited one completes");
    assert.deepEqual(again.payload, { to: "mia" });
  });

  test("a waiting job is cancelled, and so is one that runs", async () => {
    const waiting = await delayed();
    await act(waiting, "cancel", "cancelled", nothing);
    assert.equal((await engine.job(waiting)).state, "cancelled");
    const active = await engine.add("tests", "encode", "{}");
    await engine.until(() => engine.job(active), (job) => job.state === "active", "it runs");
    await act(active, "cancel", "cancelling", nothing);
    await engine.until(() => engine.job(active), (job) => job.state === "cancelled", "its handler was stopped");
  });

  test("a job is duplicated with another payload, and removed once one is sure", async () => {
    const number = await engine.add("acted", "copied", "1", "--tag", "copied");
    await act(number, "duplicate", "duplicated", (page) => page.locator("[data-test-payload]").fill("[2]"));
    const copies = await engine.ask(["job", "list", "--queue", "acted", "--tag", "copied"]);
    const copy = copies.find((job) => job.number !== number);
    assert.deepEqual((await engine.job(copy.number)).payload, [2]);
    await act(number, "remove", "removed", (page) => page.locator("[data-test-sure]").check());
    await assert.rejects(engine.job(number), /exit code 3/);
    await engine.job(copy.number);
  });
}
