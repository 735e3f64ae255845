// node run.js <peer> <scenario> <port> <jobs>: runs one scenario once, prints {"value": number}.

import { bullmq } from "./bullmq.js";
import { longshore } from "./longshore.js";

const [peer, scenario, port, jobs] = process.argv.slice(2);
const outcome = await { bullmq, longshore }[peer](Number(port))[scenario](Number(jobs));
console.log(JSON.stringify(outcome));
// The connections are still open; the figure is out, nothing is left to wait for.
process.exit(0);
