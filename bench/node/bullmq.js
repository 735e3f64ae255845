// BullMQ as its users call it, on its own defaults: completed jobs are kept, no retries, no backoff.

import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { median, payload, perSecond, rest } from "./harness.js";

const NAME = "emails";
const bulk = Array.from({ length: 1000 }, () => ({ name: "send", data: payload }));

/** Commands slower than this many microseconds stand in Redis' slow log. */
const SLOW_US = 300;

export function bullmq(port) {
  const connect = () => new Redis({ port, maxRetriesPerRequest: null });
  const queue = () => new Queue(NAME, { connection: connect() });

  return {
    async enqueue(jobs) {
      const emails = queue();
      return { value: await perSecond(64, jobs, () => emails.add("send", payload)) };
    },

    async connections(jobs) {
      const queues = Array.from({ length: 64 }, queue);
      await Promise.all(queues.map((one) => one.waitUntilReady()));
      return { value: await perSecond(64, jobs, (_, lane) => queues[lane].add("send", payload)) };
    },

    async bulk(jobs) {
      const emails = queue();
      return { value: 1000 * (await perSecond(1, jobs / 1000, () => emails.addBulk(bulk))) };
    },

    async noop(jobs) {
      const emails = queue();
      await perSecond(1, jobs / 1000, () => emails.addBulk(bulk));
      const options = { connection: connect(), concurrency: 100, autorun: false };
      const worker = new Worker(NAME, async () => {}, options);
      await worker.waitUntilReady();
      let done = 0;
      const started = performance.now();
      await new Promise((resolve, reject) => {
        worker.on("completed", () => ++done === jobs && resolve());
        worker.on("error", reject);
        worker.run().catch(reject);
      });
      return { value: (jobs * 1000) / (performance.now() - started) };
    },

    async idle(samples) {
      const emails = queue();
      let arrived;
      const worker = new Worker(NAME, async () => arrived(performance.now()), { connection: connect() });
      await Promise.all([emails.waitUntilReady(), worker.waitUntilReady()]);
      const times = [];
      for (let sample = 0; sample < samples; sample++) {
        await rest();
        const arrival = new Promise((resolve) => (arrived = resolve));
        const started = performance.now();
        await emails.add("send", payload);
        times.push(((await arrival) - started) * 1000);
      }
      return { value: median(times) };
    },

    /** Only waiting jobs; `value` is the longest that one of Redis' commands took, in microseconds. */
    async fill(jobs) {
      const admin = connect();
      await admin.config("SET", "slowlog-log-slower-than", SLOW_US);
      await admin.config("SET", "slowlog-max-len", 1_000_000);
      const emails = queue();
      await perSecond(2, jobs / 1000, () => emails.addBulk(bulk));
      const slow = await admin.slowlog("GET", -1);
      return { value: Math.max(SLOW_US, ...slow.map((entry) => entry[2])) };
    },
  };
}
