// A dashboard with a password file: nobody is in without one, and a role has what it may do.
import assert from "node:assert/strict";
import { test } from "node:test";

import { asVisitor, go, press } from "./browser.mjs";
import * as engine from "./engine.mjs";
import { world } from "./world.mjs";

export function tests() {
  test("nobody is in without a login; a viewer sees and can do nothing; a logout is one", async () => {
    await asVisitor({ baseURL: world.guarded }, async (page, visitor) => {
      visitor.statuses.push(401, 403);
      await page.goto("/jobs");
      assert.equal(await page.locator("[data-test-job]").count(), 0);
      await go(page, "/login?back=/jobs");
      await logIn(page, "not the password");
      assert.equal(await page.locator('[data-test-failure="login"]').count(), 1);
      await logIn(page, world.password);
      assert.equal(new URL(page.url()).pathname, "/jobs");
      assert.ok((await page.locator("[data-test-user]").textContent()).includes("vera, viewer"));
      await go(page, `/jobs/${world.jobs.dead}`);
      assert.equal(await page.locator('[data-test-button="retry"]').count(), 0);
      const refused = await page.context().request.post(`/jobs/${world.jobs.dead}/retry`);
      assert.equal(refused.status(), 403);
      assert.equal((await engine.job(world.jobs.dead)).state, "dead");
      await press(page, "logout");
      await page.goto("/jobs");
      assert.equal(await page.locator("[data-test-job]").count(), 0);
    });
  });
}

async function logIn(page, password) {
  await page.locator("#name").fill("vera");
  await page.locator("#password").fill(password);
  await press(page, "login");
}
