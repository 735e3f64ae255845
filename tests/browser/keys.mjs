// The keys, as the list that `?` opens tells them.
import assert from "node:assert/strict";
import { test } from "node:test";

import { asVisitor, go } from "./browser.mjs";

export function tests() {
  test("keys lead to pages, to the search and to the list of keys", async () => {
    await asVisitor({}, async (page) => {
      await go(page, `/`);
      const pages = await page.locator("nav a[data-key]").evaluateAll((nodes) => nodes.map((node) => [node.dataset.key, node.pathname]));
      assert.ok(pages.length >= 2);
      for (const [key, path] of pages) {
        await page.keyboard.press("g");
        await Promise.all([page.waitForNavigation(), page.keyboard.press(key)]);
        assert.equal(new URL(page.url()).pathname, path, `g ${key}`);
      }
      await page.keyboard.press("/");
      const focused = () => page.evaluate(() => document.activeElement?.id);
      assert.equal(await focused(), "search");
      // What is typed there is text.
      await page.keyboard.type("/go?");
      assert.equal(await page.locator("#search").inputValue(), "/go?");
      await page.keyboard.press("Escape");
      assert.notEqual(await focused(), "search");
      await page.keyboard.press("?");
      const list = page.locator("dialog#keys");
      await list.waitFor({ state: "visible" });
      for (const [key] of pages) assert.ok((await list.textContent()).includes(`g ${key}`));
      await list.locator('[data-test-button="close-keys"]').click();
      await list.waitFor({ state: "hidden" });
    });
  });

  test("whoever has no mouse comes to the content and to every link", async () => {
    await asVisitor({}, async (page) => {
      await go(page, "/jobs");
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
      await page.keyboard.press("Enter");
      await page.waitForURL("**/jobs#main");
      await page.keyboard.press("Tab");
      assert.ok(await page.evaluate(() => document.querySelector("main").contains(document.activeElement)));
    });
  });
}
