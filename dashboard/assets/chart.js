// Charts to look into, in the place of the pictures that the server drew: values at the cursor, a span by dragging, and
// an end that goes on. The numbers come from the address that the page names; without script the pictures stay.
(() => {
  "use strict";
  const place = document.querySelector("[data-series]");
  if (!place || !window.uPlot) return;
  const EVERY_MS = 5000;
  const HEIGHT = 180;
  const note = document.getElementById("chart-note");
  const whole = document.getElementById("chart-whole");
  const figures = [...place.querySelectorAll("[data-chart]")];
  let state; // step_ms, until_ms, charts: as the server sends them, and kept up to date
  let asked = 0;
  let zoom; // the span that is looked at, in seconds; none for all of it
  let plots = [];

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const instant = (s, from, to) => new Date(s * 1000).toISOString().slice(from, to);
  const shown = {
    per_second: (value) => `${value.toLocaleString("en", { maximumFractionDigits: 2 })}/s`,
    ms: (ms) => {
      const digits = (value, unit) => `${value.toLocaleString("en", { maximumFractionDigits: 1 })} ${unit}`;
      if (ms < 1000) return digits(ms, "ms");
      if (ms < 60_000) return digits(ms / 1000, "s");
      return ms < 3_600_000 ? digits(ms / 60_000, "m") : digits(ms / 3_600_000, "h");
    },
  };

  const times = () => {
    const length = state.charts[0].lines[0].values.length;
    return Array.from({ length }, (_, at) => (state.until_ms - (length - at) * state.step_ms) / 1000);
  };
  const data = (chart) => {
    const scale = chart.unit === "per_second" ? 1000 / state.step_ms : 1;
    return [times(), ...chart.lines.map(({ values }) => values.map((value) => (value === null ? null : value * scale)))];
  };
  const span = () => {
    const all = times();
    return zoom ?? { min: all[0], max: all[all.length - 1] };
  };

  // What stands between two gaps is a dot, since a line of one point cannot be seen.
  const alone = (plot, line) => {
    const values = plot.data[line];
    const dots = values.flatMap((value, at) =>
      value !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null ? [at] : [],
    );
    return dots.length ? dots : null;
  };

  const look = (to) => {
    zoom = to;
    whole.parentElement.hidden = !zoom;
    for (const plot of plots) plot.setScale("x", span());
  };

  const options = (chart, width) => {
    const axis = { stroke: color("dim"), grid: { stroke: color("line"), width: 1 }, ticks: { stroke: color("line"), width: 1 } };
    const text = shown[chart.unit];
    return {
      width,
      height: HEIGHT,
      tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "UTC"),
      cursor: {
        drag: { x: true, y: false, setScale: false },
        sync: { key: "charts", filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
        bind: { dblclick: () => () => look(undefined) },
      },
      scales: { y: { range: (plot, min, max) => [0, max > 0 ? max * 1.05 : 1] } },
      axes: [
        { ...axis, values: (plot, splits, at, space, step) => splits.map((s) => instant(s, 11, step < 60 ? 19 : 16)) },
        { ...axis, size: 70, values: (plot, splits) => splits.map(text) },
      ],
      series: [
        { label: "UTC", value: (plot, s) => (s === null || s === undefined ? "–" : instant(s, 0, 19).replace("T", " ")) },
        ...chart.lines.map(({ label, color: name, dashed }) => ({
          label,
          stroke: color(name),
          width: 1.5,
          dash: dashed ? [5, 3] : undefined,
          points: { show: false, filter: alone },
          value: (plot, value) => (value === null || value === undefined ? "–" : text(value)),
        })),
      ],
      legend: { markers: { dash: (plot, at) => (plot.series[at].dash ? "dashed" : "solid") } },
      hooks: {
        setSelect: [
          (plot) => {
            const { left, width: wide } = plot.select;
            if (wide < 4) return;
            look({ min: plot.posToVal(left, "x"), max: plot.posToVal(left + wide, "x") });
            plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
      },
    };
  };

  const draw = () => {
    for (const plot of plots) plot.destroy();
    place.classList.add("drawn");
    plots = state.charts.map((chart, at) => {
      const into = figures[at].querySelector(".plot");
      into.replaceChildren();
      return new uPlot(options(chart, into.clientWidth), data(chart), into);
    });
    look(zoom);
  };

  const redraw = () => {
    plots.forEach((plot, at) => plot.setData(data(state.charts[at]), false));
    look(zoom);
  };

  // Puts newer buckets at the end, over those that they tell anew; false where they do not fit what is here.
  const append = (newer) => {
    const steps = Math.round((newer.until_ms - state.until_ms) / state.step_ms);
    const [length, tail] = [state, newer].map(({ charts }) => charts[0].lines[0].values.length);
    if (steps < 0) return true;
    if (steps > tail || Math.abs(newer.until_ms - state.until_ms - steps * state.step_ms) > state.step_ms / 4) return false;
    state.charts.forEach((chart, at) => {
      chart.lines.forEach((line, which) => {
        const kept = line.values.slice(0, length - (tail - steps));
        line.values = [...kept, ...newer.charts[at].lines[which].values].slice(-length);
      });
    });
    state.until_ms = newer.until_ms;
    return true;
  };

  const fetched = async (points) => {
    const url = new URL(place.dataset.series, location.href);
    if (points) url.searchParams.set("points", points);
    const response = await fetch(url, { headers: { accept: "application/json" } });
    if (!response.ok) throw new Error(response.statusText || response.status);
    return response.json();
  };

  const update = async () => {
    if (document.hidden) return;
    const now = Date.now();
    try {
      const length = state?.charts[0].lines[0].values.length ?? 0;
      const missing = state ? Math.ceil((now - asked) / state.step_ms) + 2 : 0;
      const tail = state && missing < length ? await fetched(missing) : undefined;
      const fits = tail && append(tail);
      if (!fits) state = await fetched();
      asked = now;
      if (plots.length) redraw();
      else draw();
      note.textContent = "";
      place.dataset.until = state.until_ms;
    } catch (error) {
      note.textContent = `The charts are not up to date: ${error.message}`;
    }
  };

  // One at a time: the next is asked for only once the last has come.
  const go = async () => {
    await update();
    setTimeout(go, EVERY_MS);
  };
  go();
  document.addEventListener("visibilitychange", () => plots.length && Date.now() - asked > EVERY_MS && update());
  whole.addEventListener("click", () => look(undefined));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.length && draw());
  new ResizeObserver(() => {
    plots.forEach((plot, at) => plot.setSize({ width: figures[at].querySelector(".plot").clientWidth, height: HEIGHT }));
  }).observe(place);
})();
