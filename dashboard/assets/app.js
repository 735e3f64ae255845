// Longshore's dashboard: keys, ages that go on, and regions that hold still while somebody selects in them.
// Pages work without any of it.
(() => {
  "use strict";
  // Keys: one letter, or `g` and a letter of the navigation.
  const typing = (target) => target.closest("input, textarea, select, [contenteditable]");
  let waitsForSecond = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && typing(event.target)) return event.target.blur();
    if (typing(event.target)) return;
    if (waitsForSecond) {
      waitsForSecond = false;
      const link = document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
      if (link) {
        event.preventDefault();
        link.click();
      }
    } else if (event.key === "g") {
      waitsForSecond = true;
      setTimeout(() => (waitsForSecond = false), 1500);
    } else if (event.key === "/") {
      event.preventDefault();
      document.getElementById("search")?.select();
    } else if (event.key === "?") {
      document.getElementById("keys")?.showModal();
    }
  });

  // Ages: as the server writes them, from the same times. The server's clock counts, not this machine's.
  const clock = document.querySelector("time.clock");
  const ahead = clock ? Date.parse(clock.dateTime) - Date.now() : 0;
  const shown = (ms) => {
    const s = Math.floor(ms / 1000);
    const two = (large, unit, small, smallUnit) => `${large}${unit}${small ? ` ${small}${smallUnit}` : ""}`;
    if (s < 60) return `${s}s`;
    if (s < 3600) return two(Math.floor(s / 60), "m", s % 60, "s");
    if (s < 86400) return two(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "m");
    return two(Math.floor(s / 86400), "d", Math.floor((s % 86400) / 3600), "h");
  };
  setInterval(() => {
    if (document.hidden) return;
    const now = Date.now() + ahead;
    for (const time of document.querySelectorAll("time[datetime]")) {
      const at = Date.parse(time.dateTime);
      if (time === clock) time.textContent = new Date(now).toISOString();
      else if (at > now) time.textContent = `in ${shown(at - now)}`;
      else time.textContent = `${shown(now - at)} ago`;
    }
  }, 1000);

  // One box for all rows of a page, ticked while each of them is.
  const all = document.getElementById("all");
  const boxes = () => [...document.querySelectorAll("input[type=checkbox][name=job]")];
  if (all) all.hidden = false;
  document.addEventListener("change", ({ target }) => {
    if (!all) return;
    if (target === all) for (const box of boxes()) box.checked = all.checked;
    else all.checked = boxes().every((box) => box.checked);
  });

  // The events stop at a button.
  const pause = document.getElementById("pause");
  if (pause) pause.hidden = false;
  pause?.addEventListener("click", () => {
    const paused = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", paused);
    pause.textContent = paused ? "Go on" : "Pause";
  });

  // A region holds still while something in it is selected or about to be done.
  const held = () => {
    if (document.querySelector("#pause[aria-pressed=true], #events details[open]")) return true;
    const selection = document.getSelection();
    const region = (node) => (node?.nodeType === 1 ? node : node?.parentElement)?.closest("[data-test-live]");
    if (selection && !selection.isCollapsed && region(selection.anchorNode)) return true;
    return Boolean(document.querySelector("[data-test-live] input[type=checkbox]:checked"));
  };
  document.addEventListener("htmx:sse:before:message", (event) => {
    if (!held()) return;
    event.detail.waitUntil(
      new Promise((go) => {
        const look = setInterval(() => {
          if (held()) return;
          clearInterval(look);
          go();
        }, 250);
      }),
    );
  });
})();
