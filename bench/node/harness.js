// What every peer's script shares: the payload, requests kept in flight, and arithmetic on times.

/** 190 bytes of JSON, the size that all figures of this bench use. */
export const payload = { to: "ann@example.com", text: "x".repeat(156) };

/** Calls `send(index)` for `total` indices, `width` at a time; answers calls per second. */
export async function perSecond(width, total, send) {
  let next = 0;
  const lane = async (at) => {
    while (next < total) await send(next++, at);
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: width }, (_, at) => lane(at)));
  return (total * 1000) / (performance.now() - started);
}

/** The middle one of `values`. */
export function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** Lets a system come to rest between two samples of an idle latency: here waiting is what is measured. */
export function rest() {
  return new Promise((resolve) => setTimeout(resolve, 5));
}
