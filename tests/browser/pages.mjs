// Every page that links lead to, and the page of every kind of job: there, clean, usable by all, and as narrow as a phone.
import assert from "node:assert/strict";
import { test } from "node:test";

import { asVisitor, go, routeOf } from "./browser.mjs";
import { axe, world } from "./world.mjs";

const NARROW = { width: 390, height: 844 };
// In the dark all but the colours is as in the light.
const RULES = { light: undefined, dark: ["color-contrast", "link-in-text-block"] };
// Who looks at pages side by side: each page takes a second or so of one core.
const AT_ONCE = 3;
const WIDE = { width: 1440, height: 900 };

export function tests() {
  test("every page is there, says no error, and is usable in light, dark and at 390 px", async () => {
    const [visited, faults] = [new Set(), []];
    let [paths, next] = [["/", ...Object.values(world.jobs).map((number) => `/jobs/${number}`)], []];
    const walk = async (page) => {
      await page.addInitScript(axe);
      for (let path = paths.shift(); path; path = paths.shift()) {
        if (visited.has(path)) continue;
        visited.add(path);
        await go(page, path);
        faults.push(...(await look(page, path)));
        next.push(...(await newLinks(page)));
      }
    };
    for (; paths.length; [paths, next] = [next, []]) {
      await Promise.all(Array.from({ length: AT_ONCE }, () => asVisitor({}, walk)));
    }
    assert.ok(visited.size > 15, [...visited].join(" "));
    assert.deepEqual(faults, []);
  });
}

/** What is wrong with a page for those who see little, or look at it on a phone. */
async function look(page, path) {
  const faults = [];
  for (const [colorScheme, rules] of Object.entries(RULES)) {
    await page.emulateMedia({ colorScheme });
    const found = await page.evaluate((runOnly) => window.axe.run({ runOnly, resultTypes: ["violations"] }), rules);
    const bad = found.violations.filter((rule) => ["serious", "critical"].includes(rule.impact));
    const told = bad.map(({ id, nodes }) => `${id} ×${nodes.length}: ${nodes[0].html}: ${nodes[0].failureSummary}`);
    faults.push(...told.map((text) => `${path}, ${colorScheme}: ${text}`));
  }
  await page.setViewportSize(NARROW);
  const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (beyond > 0) faults.push(`${path} is ${beyond} px wider than a phone`);
  await page.setViewportSize(WIDE);
  return faults;
}

const kinds = new Set();

/** The links of a page that lead to a kind of page that no link before led to. */
async function newLinks(page) {
  const links = await page.locator("a[href]:not([download])").evaluateAll((nodes) =>
    nodes.map((node) => ({ href: node.href, test: Object.keys(node.dataset).sort().join(" ") })),
  );
  return links.flatMap(({ href, test }) => {
    const url = new URL(href);
    assert.equal(url.origin, world.dashboard, href);
    const route = routeOf("GET", url.pathname);
    assert.ok(route, `a link to ${url.pathname}, which is no route`);
    const kind = [route, [...url.searchParams.keys()].sort(), test, url.searchParams.get("q")?.split(":")[0]].join("|");
    if (kinds.has(kind)) return [];
    kinds.add(kind);
    return [url.pathname + url.search];
  });
}
