// The browser tests: every file of them, in one process and one Chromium; last, whether all there is was used.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { close, open, seen, used } from "./browser.mjs";
import * as actions from "./actions.mjs";
import * as charts from "./charts.mjs";
import * as errors from "./errors.mjs";
import * as events from "./events.mjs";
import * as keys from "./keys.mjs";
import * as live from "./live.mjs";
import * as login from "./login.mjs";
import * as pages from "./pages.mjs";
import * as queues from "./queue_actions.mjs";
import * as search from "./search.mjs";
import * as selection from "./selection.mjs";
import * as stopping from "./stopping.mjs";
import * as values from "./values.mjs";
import * as without from "./without_script.mjs";
import * as workers from "./workers.mjs";
import { world } from "./world.mjs";

const AT_ONCE = 3;
const filtered = process.execArgv.some((flag, at) => process.execArgv[at - 1] === "--test-name-pattern" && flag !== ".");

describe("browser", () => {
  before(open);
  after(close);
  describe("all", { concurrency: AT_ONCE }, () => {
    for (const part of [pages, charts, actions, errors, queues, search, keys, live, events, selection, login, values, without, workers]) part.tests();
  });
  describe("alone", () => {
    for (const part of [stopping.tests, events.alone]) part();
  });
  // A part of the tests cannot use all there is.
  if (filtered) return;
  test("every route, form and button was used, and every form and button has a name", () => {
    const routes = world.routes.map((route) => `${route.method} ${route.path}`);
    const unused = routes.filter((route) => !used.routes.has(route));
    for (const [name, page] of seen.parts) if (!used.parts.has(name)) unused.push(`${name} (seen at ${page})`);
    const unnamed = [...seen.unnamed].map(([html, page]) => `without data-test-form or data-test-button: ${html} (${page})`);
    assert.deepEqual([...unused, ...unnamed], []);
  });
});
