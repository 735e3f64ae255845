// One Chromium, and visitors in it: each with a context of its own that writes down what went wrong and what was used.
//
// Whatever a visitor meets counts: an error on the console, a breach of the policy, a failed request, a request that
// goes elsewhere. What forms and buttons there are is taken from every page seen; what was used, from real events.
import assert from "node:assert/strict";

import { PATIENCE_MS } from "./engine.mjs";
import { chromium, world } from "./world.mjs";

export const used = { routes: new Set(), parts: new Set() };
export const seen = { parts: new Map(), unnamed: new Map() };

let browser;

export async function open() {
  const root = process.getuid?.() === 0;
  const args = ["--disable-dev-shm-usage", ...(root ? ["--no-sandbox"] : [])];
  browser = await chromium.launch({ executablePath: world.chromium, args });
}

export async function close() {
  await browser?.close();
}

/** The route of a path, as the table writes it. */
export function routeOf(method, path) {
  const parts = path.split("/");
  const fits = (route) => {
    const wanted = route.path.split("/");
    return wanted.length === parts.length && wanted.every((part, at) => part.startsWith("{") || part === parts[at]);
  };
  const found = world.routes.filter((route) => route.method === method && fits(route));
  // A word of its own goes before a name.
  found.sort((one, other) => one.path.split("{").length - other.path.split("{").length);
  return found.length ? `${method} ${found[0].path}` : undefined;
}

/** Runs `visit(page, visitor)` as somebody of its own, who must not have met a fault but those that it expects. */
export async function asVisitor(options, visit) {
  const context = await browser.newContext({ baseURL: world.dashboard, viewport: { width: 1440, height: 900 }, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const visitor = { faults: [], statuses: [], origin: options?.baseURL ?? world.dashboard };
  await watch(context, visitor, options?.javaScriptEnabled !== false);
  try {
    const page = await context.newPage();
    await visit(page, visitor);
    assert.deepEqual(visitor.faults, []);
  } finally {
    await context.close();
  }
}

const use = (url, method) => used.routes.add(routeOf(method, url.pathname));

async function watch(context, visitor, scripts) {
  const fault = (text) => visitor.faults.push(text);
  context.on("console", (message) => {
    // A refused request is judged by its status below.
    if (/^Failed to load resource/.test(message.text())) return;
    if (["error", "warning"].includes(message.type())) fault(`console: ${message.text()}`);
  });
  context.on("weberror", (error) => fault(`script: ${error.error().stack}`));
  context.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== visitor.origin) fault(`a request to ${url.origin}`);
    use(url, request.method());
  });
  // What becomes a file is told as that, and no longer as a request.
  context.on("page", (page) => page.on("download", (download) => use(new URL(download.url()), "GET")));
  context.on("response", (response) => {
    const [status, path] = [response.status(), new URL(response.url()).pathname];
    if (status >= 400 && !visitor.statuses.includes(status)) fault(`${status} ${response.request().method()} ${path}`);
  });
  context.on("requestfailed", (request) => {
    const why = request.failure()?.errorText;
    // A stream ends with its page, and what becomes a file is no page any more.
    if (why === "net::ERR_ABORTED") return;
    fault(`${request.method()} ${request.url()}: ${why}`);
  });
  if (!scripts) return;
  await context.exposeBinding("__met", (source, what) => met(what, source.page.url(), fault));
  await context.addInitScript(inThePage);
}

function met({ kind, name, html }, url, fault) {
  if (kind === "breach") fault(`breach of the policy: ${name}`);
  else if (kind === "used") used.parts.add(name);
  else if (name) seen.parts.set(name, seen.parts.get(name) ?? new URL(url).pathname);
  else seen.unnamed.set(html, new URL(url).pathname);
}

// Runs in every page before its own scripts.
function inThePage() {
  const told = new Set();
  const nameOf = (node) => {
    const kind = node.tagName === "FORM" ? "form" : "button";
    const name = node.getAttribute(`data-test-${kind}`);
    return name && `${kind} ${name}`;
  };
  const look = () => {
    for (const node of document.querySelectorAll("form, button, input[type=submit]")) {
      const [name, html] = [nameOf(node), node.outerHTML.slice(0, 200)];
      if (!told.has(name ?? html)) window.__met({ kind: "seen", name, html });
      told.add(name ?? html);
    }
  };
  const use = (node) => node && nameOf(node) && window.__met({ kind: "used", name: nameOf(node) });
  document.addEventListener("submit", (event) => use(event.target), true);
  document.addEventListener("click", (event) => use(event.target.closest?.("button")), true);
  document.addEventListener("securitypolicyviolation", (event) =>
    window.__met({ kind: "breach", name: `${event.violatedDirective} ${event.blockedURI} ${event.sample}` }),
  );
  document.addEventListener("DOMContentLoaded", () => {
    look();
    new MutationObserver(look).observe(document, { childList: true, subtree: true });
  });
}

/** Goes there, and requires that it is there. */
export async function go(page, path) {
  const response = await page.goto(path);
  assert.equal(response.status(), 200, path);
}

/** Presses a button by its name, and waits for the page that answers. */
export async function press(page, name) {
  await Promise.all([page.waitForNavigation(), page.locator(`[data-test-button="${name}"]`).first().click()]);
}

/** Follows a link. */
export async function follow(page, link) {
  await Promise.all([page.waitForNavigation(), page.locator(link).first().click()]);
}
