#!/usr/bin/env node
/** `npm run demo`: the main job on real input, each claim checked. Exits 0 only if every check held. */
import { Checks } from './checks.ts';
import { survivesAgentKill } from './steps/agent-kill.ts';
import { collectedEverything } from './steps/everything-gone.ts';
import { memoryLimitReported } from './steps/memory-limit.ts';
import { serviceAnswers } from './steps/service.ts';
import { wordCountIsRight } from './steps/word-count.ts';
import { startSystem } from './system.ts';

const out = process.stdout;
const checks = new Checks(out);
const started = performance.now();
let failure: unknown;

const abort = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => abort.abort(new Error(`interrupted by ${signal}`)));

out.write(
  'Tepui demo: a server, a controller and an agent on an empty data directory, then real work on real input.\n',
);
const system = await startSystem(out, abort.signal).catch((error: Error) => {
  process.stderr.write(`demo: ${error.message}\n`);
  process.exit(1);
});
try {
  await serviceAnswers(system, checks);
  await wordCountIsRight(system, checks);
  await memoryLimitReported(system, checks);
  await survivesAgentKill(system, checks);
  await collectedEverything(system, checks);
} catch (error) {
  failure = error;
} finally {
  await system.stop();
}
checks.printTable();
if (failure)
  out.write(
    `\nThe demo stopped early: ${failure instanceof Error ? failure.message : String(failure)}\n${system.logTail()}`,
  );
await system.removeData();
const held = !failure && checks.allHeld();
out.write(
  `\n${held ? 'Every check held' : 'NOT every check held'}; it took ${((performance.now() - started) / 1000).toFixed(1)} s.\n`,
);
process.exit(held ? 0 : 1);
