// Without script: everything can be read, and the main things can be done.
import assert from "node:assert/strict";
import { test } from "node:test";

import { asVisitor, go, press } from "./browser.mjs";
import * as engine from "./engine.mjs";

const SCRIPTLESS = { javaScriptEnabled: false };

export function tests() {
  test("without script a failed job is found, its error read, and it is run again", async () => {
    const number = await engine.run("dead", '{"error": "address"}', "--tag", "scriptless");
    await asVisitor(SCRIPTLESS, async (page) => {
      await go(page, "/");
      await page.locator("#search").fill("tag:scriptless");
      await Promise.all([page.waitForNavigation(), page.locator("#search").press("Enter")]);
      await Promise.all([page.waitForNavigation(), page.locator(`[data-test-job="${number}"] a`).first().click()]);
      assert.ok((await page.locator("[data-test-error]").textContent()).includes("no such mailbox: nobody"));
      await press(page, "retry");
      await page.locator('[data-test-done="retried"]').waitFor();
    });
    await engine.until(() => engine.job(number), (job) => job.leases.length === 2, "it ran again");
  });

  test("without script the theme changes and every page of the navigation is there", async () => {
    await asVisitor(SCRIPTLESS, async (page) => {
      await go(page, "/");
      await press(page, "theme-dark");
      assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
      const count = await page.locator("nav [data-test-nav]").count();
      for (let at = 0; at < count; at += 1) {
        await Promise.all([page.waitForNavigation(), page.locator("nav [data-test-nav]").nth(at).click()]);
        assert.ok(await page.locator("main").isVisible());
      }
    });
  });
}
