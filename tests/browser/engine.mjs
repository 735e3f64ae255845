// What the engine says, asked through the command line: what a page claims is never taken for what happened.
import { spawn } from "node:child_process";

import { world } from "./world.mjs";

// How long something may take that takes milliseconds on a machine with nothing else to do.
export const PATIENCE_MS = 30_000;

/** Runs `longshore` and answers its rows; any exit code but 0 fails. */
export function ask(args, input = "") {
  return new Promise((resolve, reject) => {
    const child = spawn(world.cli, ["--engine", world.engine, "--json", ...args.map(String)]);
    let out = "";
    let err = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (out += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (err += text));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(out.split("\n").filter(Boolean).map((line) => JSON.parse(line)));
      else reject(new Error(`longshore ${args.slice(0, 4).join(" ")}: exit code ${code}: ${err}`));
    });
    child.stdin.on("error", () => {}).end(input);
  });
}

/** Adds a job and answers its number. */
export async function add(queue, name, payload, ...flags) {
  const [row] = await ask(["enqueue", queue, name, "-", "--raw", ...flags], payload);
  return row.number;
}

/** Everything there is to say of a job. */
export async function job(number) {
  return (await ask(["job", "show", number]))[0];
}

/** A queue, with its counts and settings. */
export async function queue(name) {
  return (await ask(["queue", "show", name]))[0];
}

/** Asks again until `holds` of what is answered, and answers that. */
export async function until(question, holds, what) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await question();
    if (holds(answer)) return answer;
    if (Date.now() > end) throw new Error(`gave up waiting until ${what}: ${JSON.stringify(answer)}`);
  }
}

/** A job in a queue of its own that the worker has run to this state. */
export async function run(state, payload, ...flags) {
  const number = await add("tests", "try", payload, "--backoff", "fixed:20ms", ...flags);
  await until(() => job(number), (found) => found.state === state, `job ${number} is ${state}`);
  return number;
}
