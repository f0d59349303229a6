import { execFileSync } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type Outcome, sumOf } from './outcome.ts';
import { sharedTool } from './shared-tools.ts';

/** The server flavours of the tool: `crd` is recent but has only custom resources, `full` is old but whole. */
const FLAVOURS = ['crd', 'full'] as const;

/**
 * Runs a suite against the cluster that $TEPUI_TEST_KUBECONFIG or $KUBECONFIG names, or else against each flavour of a genuine API server that is built
 * and started here for the purpose. The suite finds the kubeconfig in KUBECONFIG and the flavour in TEPUI_TEST_FLAVOUR.
 */
export async function withGenuineApiServer(run: (env: Record<string, string>) => Promise<Outcome>): Promise<Outcome> {
  const given = process.env.TEPUI_TEST_KUBECONFIG ?? process.env.KUBECONFIG;
  if (given) return run({ KUBECONFIG: given, TEPUI_TEST_FLAVOUR: 'cluster' });
  const tool = sharedTool('real-apiserver.sh') as string;
  const scratch = process.env.K8S_SCRATCH ?? '/tmp/k8s';
  const outcomes: Outcome[] = [];
  for (const flavour of FLAVOURS) {
    const wasRunning = execFileSync(tool, ['status'], { encoding: 'utf8' }).includes(`${flavour} kube-apiserver`);
    if (!wasRunning)
      execFileSync(tool, ['start', String(await freePort()), flavour], { stdio: ['ignore', 'ignore', 'inherit'] });
    try {
      const kubeconfig = join(scratch, flavour === 'crd' ? 'kubeconfig' : 'kubeconfig.full');
      outcomes.push(await run({ KUBECONFIG: kubeconfig, TEPUI_TEST_FLAVOUR: flavour }));
    } finally {
      if (!wasRunning) execFileSync(tool, ['stop', flavour], { stdio: 'ignore' });
    }
  }
  return sumOf(outcomes);
}

/**
 * The tool takes three ports in a row. They are looked for below the range that the kernel gives to outgoing connections,
 * or one of those could take a port between the look and its use.
 */
async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const free = await Promise.all([port, port + 1, port + 2].map(isFree));
    if (free.every(Boolean)) return port;
  }
  throw new Error('no three free ports in a row between 20000 and 30000');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
