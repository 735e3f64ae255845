// What a job brought is shown exactly, in a real browser, and nothing of it is ever more than text.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { asVisitor, go } from "./browser.mjs";
import * as engine from "./engine.mjs";

const EVIL = `</pre><script>window.ran = 1</script><img src=x onerror="window.ran = 2"><svg onload="window.ran = 3">`;
const NUMBERS = "[12345678901234567890,-0.10,1e400,99999999999999999999.0]";
const STEERING = "a\u202eb\u0000c\u0007d\u200be\u2066f\u001b[31mg\u2028h\rj\ufeffk";
const VALUES = {
  markup: JSON.stringify({ evil: EVIL, "<b>": "&amp;&lt;" }),
  "numbers of 20 digits": NUMBERS,
  "control characters and marks of direction": STEERING,
  "words of many scripts": JSON.stringify({ a: "Grüße, שלום, مرحبا, 你好, 👩‍👩‍👧" }),
  "what is no JSON": "just words & <i>",
};

export function tests() {
  for (const [what, value] of Object.entries(VALUES)) {
    test(`${what}: shown exactly, saved exactly, and nothing runs`, async () => {
      const number = await engine.add("shown", "value", value);
      await asVisitor({}, async (page) => {
        await go(page, `/jobs/${number}`);
        assert.equal(bare(await shown(page)), bare(value));
        assert.equal(await saved(page), value);
        assert.equal(await page.evaluate(() => window.ran), undefined);
      });
    });
  }

  test("1 MiB of text: the beginning at once, all of it where it is asked for", async () => {
    const value = JSON.stringify({ big: `${EVIL} 12345678901234567890 `.repeat(7_900), last: "the end" });
    assert.ok(value.length > 1_000_000 && value.length <= 1 << 20, String(value.length));
    const number = await engine.add("shown", "value", value);
    await asVisitor({}, async (page) => {
      await go(page, `/jobs/${number}`);
      const beginning = await shown(page);
      assert.ok(beginning.length < 100_000 && value.startsWith(beginning), String(beginning.length));
      await Promise.all([page.waitForNavigation(), page.locator('[data-test-whole="payload"]').click()]);
      assert.equal(bare(await shown(page)), bare(value));
      assert.equal(await saved(page), value);
      assert.equal(await page.evaluate(() => window.ran), undefined);
    });
  });

  test("names, ids, tags, results, errors and logs are text as well", async () => {
    const name = "<img src=x onerror=window.ran=1>";
    const number = await engine.add(`q ${name}`, `n ${name}`, "1", "--id", `i ${name}`, "--tag", `t ${name}`, "--header", `h=${name}`);
    const [run, failed] = [await engine.run("completed", JSON.stringify(EVIL)), await engine.run("dead", '{"error": "address"}')];
    await asVisitor({}, async (page) => {
      const paths = ["/", "/jobs", "/jobs?q=queue:shown", `/queues/${encodeURIComponent(`q ${name}`)}`];
      for (const path of [...paths, ...[number, run, failed].map((at) => `/jobs/${at}`)]) {
        await go(page, path);
        assert.equal(await page.evaluate(() => window.ran), undefined, path);
        assert.equal(await page.locator("main img").count(), 0, path);
      }
      await go(page, `/jobs/${number}`);
      const text = await page.locator("main").textContent();
      for (const kind of ["q", "n", "i", "t"]) assert.ok(text.includes(`${kind} ${name}`), kind);
      await go(page, `/jobs/${run}`);
      assert.ok((await page.locator("[data-test-log]").textContent()).includes(JSON.stringify(EVIL)));
      assert.equal(bare(await page.locator('pre[data-test-bytes="result"]').textContent()), '{"sent":true}');
      assert.equal((await saved(page, "result")).trim(), '{"sent": true}');
      await go(page, `/jobs/${failed}`);
      assert.ok((await page.locator("[data-test-error]").textContent()).includes("no such mailbox: nobody"));
    });
  });
}

/** The text of the value, with what is shown by its code turned back into what it stands for. */
const shown = (page) =>
  page.locator('pre[data-test-bytes="payload"]').evaluate((node) => {
    const copy = node.cloneNode(true);
    for (const mark of copy.querySelectorAll(".mark")) {
      mark.textContent = String.fromCodePoint(Number.parseInt(mark.textContent.replace("U+", ""), 16));
    }
    return copy.textContent;
  });

/** Without the blanks that indenting adds. */
const bare = (text) => text.replace(/[ \n]/g, "");

async function saved(page, what = "payload") {
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator(`[data-test-download="${what}"]`).click()]);
  return readFile(await download.path(), "utf8");
}
