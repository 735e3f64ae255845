// A line for each test, what failed where, and the closing line that ./test counts.
export default async function* report(source) {
  let passed = 0;
  let failed = 0;
  for await (const { type, data } of source) {
    if (type === "test:stderr" || type === "test:stdout") yield data.message;
    // A group fails with its tests; only these are counted.
    if (!["test:pass", "test:fail"].includes(type) || data.details.type === "suite" || data.skip !== undefined) continue;
    const ms = Math.round(data.details.duration_ms);
    if (type === "test:pass") {
      passed += 1;
      yield `ok ${data.name} (${ms} ms)\n`;
    } else {
      failed += 1;
      const error = data.details.error?.cause ?? data.details.error;
      yield `FAILED ${data.name} (${ms} ms)\n${indented(error?.stack ?? String(error))}\n`;
    }
  }
  yield `${passed} passed, ${failed} failed\n`;
}

const indented = (text) => text.replace(/^/gm, "    ");
