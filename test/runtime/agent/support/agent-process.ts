/** An agent in a process of its own, to be killed: `agent-process.ts <kubeconfig> <dataDir> <name> <runtimeRoot> [options in JSON]`. Says "ready" when it is. */
import { pino } from 'pino';
import { startAgent } from '../../../../runtime/agent/index.ts';

const [kubeconfig, dataDir, name, runtimeRoot, more = '{}'] = process.argv.slice(2) as [string, string, string, string];
const logger = pino({ level: process.env.LOG ?? 'silent' }, pino.destination(2));
const agent = await startAgent({ kubeconfig, dataDir, name, logger, options: { runtimeRoot, ...JSON.parse(more) } });
await agent.ready;
process.stdout.write('ready\n');
process.on('SIGTERM', async () => {
  await agent.close();
  process.exit(0);
});
