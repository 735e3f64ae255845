// Longshore driven by an ordinary Redis client, with the same client and settings as BullMQ uses here.

import { Redis } from "ioredis";
import { median, payload, perSecond, rest } from "./harness.js";

const QUEUE = "emails";
const text = JSON.stringify(payload);
const bulk = [QUEUE, 1000, ...Array.from({ length: 1000 }, () => ["send", text, "="]).flat()];

export function longshore(port) {
  const connect = () => new Redis({ port, maxRetriesPerRequest: null });
  const add = (redis) => redis.call("JOB.ADD", QUEUE, "send", text);
  const addBulk = (redis) => redis.call("JOB.MADD", ...bulk);

  return {
    async enqueue(jobs) {
      const redis = connect();
      return { value: await perSecond(64, jobs, () => add(redis)) };
    },

    async connections(jobs) {
      const clients = Array.from({ length: 64 }, connect);
      await Promise.all(clients.map((redis) => redis.ping()));
      return { value: await perSecond(64, jobs, (_, lane) => add(clients[lane])) };
    },

    async bulk(jobs) {
      const redis = connect();
      return { value: 1000 * (await perSecond(1, jobs / 1000, () => addBulk(redis))) };
    },

    async noop(jobs) {
      const redis = connect();
      await perSecond(1, jobs / 1000, () => addBulk(redis));
      const started = performance.now();
      await work(redis, 100, jobs, async () => {});
      return { value: (jobs * 1000) / (performance.now() - started) };
    },

    async idle(samples) {
      const [producer, consumer] = [connect(), connect()];
      await producer.ping();
      const times = [];
      for (let sample = 0; sample < samples; sample++) {
        const leased = consumer.call("JOB.LEASE", "bench", "BLOCK", 10_000, "QUEUES", QUEUE);
        const arrival = leased.then((jobs) => [performance.now(), jobs]);
        await rest();
        const started = performance.now();
        await add(producer);
        const [arrived, [[number, token]]] = await arrival;
        times.push((arrived - started) * 1000);
        await consumer.call("JOB.COMPLETE", number, token);
      }
      return { value: median(times) };
    },

    /** Only waiting jobs; the server itself is asked for its longest turn elsewhere. */
    async fill(jobs) {
      const redis = connect();
      await perSecond(2, jobs / 1000, () => addBulk(redis));
      return { value: 0 };
    },
  };
}

/** Runs `handler` on `total` jobs, `concurrency` at once; what finishes during a call is settled by the next one. */
async function work(redis, concurrency, total, handler) {
  let finished = [];
  let wake = () => {};
  const start = ([number, token]) =>
    handler().then(() => {
      finished.push("COMPLETE", number, token);
      wake();
    });
  const first = await redis.call("JOB.LEASE", "bench", "COUNT", concurrency, "QUEUES", QUEUE);
  first.forEach(start);
  for (let done = 0; done < total; ) {
    if (finished.length === 0) await new Promise((resolve) => (wake = resolve));
    const settlements = finished;
    const count = settlements.length / 3;
    finished = [];
    const more = ["LEASE", "bench", "COUNT", count, "QUEUES", QUEUE];
    const [, leased] = await redis.call("JOB.SETTLE", count, ...settlements, ...more);
    done += count;
    leased.forEach(start);
  }
}
