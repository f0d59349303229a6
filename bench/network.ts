/**
 * What a task's network costs at its launch and its end: the namespace alone, and chains of the reference CNI plug-ins, against the same plug-ins called
 * one after another by nobody in particular (the floor: what they take is not ours). Everything happens in a network namespace of its own.
 * Needs root and CNI plug-ins (Debian's containernetworking-plugins, iptables). `node bench/network.ts [--rounds N] [--json]`.
 */
import { execFile, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import type { Task, TaskNetwork } from '../crds/types.generated.ts';
import { holdNamespaces, releaseNamespaces } from '../runtime/launcher/hold.ts';
import { type Networks, openNetworks } from '../runtime/network/index.ts';
import { median, percentile } from './launch/bed.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '40' }, json: { type: 'boolean', default: false } },
});
const PLUGINS = ['/opt/cni/bin', '/usr/lib/cni'].find((directory) => existsSync(join(directory, 'bridge')));
const CHAINS: Record<string, string[]> = {
  bridge: ['bridge'],
  'bridge + portmap': ['bridge', 'portmap'],
  'bridge + portmap + firewall': ['bridge', 'portmap', 'firewall'],
};

if (PLUGINS === undefined) {
  console.log('skipped: no CNI plug-ins (Debian: containernetworking-plugins)');
} else if (process.env.TEPUI_BENCH_NETNS === undefined) {
  // Once more, where nothing of the machine's own network can be touched.
  const { status } = spawnSync('unshare', ['--net', process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, TEPUI_BENCH_NETNS: '1' },
  });
  process.exitCode = status ?? 1;
} else {
  await main(PLUGINS);
}

async function main(pluginPath: string): Promise<void> {
  spawnSync('ip', ['link', 'set', 'lo', 'up']);
  const dir = mkdtempSync(join(tmpdir(), 'tepui-bench-network-'));
  const runtimeDir = mkdtempSync('/dev/shm/tepui-bench-network-');
  const agentDirectory = join(dir, 'agent');
  mkdirSync(join(agentDirectory, 'cni/net.d'), { recursive: true });
  for (const [index, [name, types]] of Object.entries(CHAINS).entries()) {
    writeFileSync(
      join(agentDirectory, 'cni/net.d', `${index}.conflist`),
      JSON.stringify(configuration(name, types, index, dir)),
    );
  }
  const networks = await openNetworks({ agentDirectory, runtimeDir, pluginPath, logger: pino({ level: 'warn' }) });
  try {
    const rows = [await measure('loopback only, shared', { mode: 'None' }, networks)];
    for (const [index, [name, types]] of Object.entries(CHAINS).entries()) {
      const chain = configuration(name, types, index, dir);
      const spec: TaskNetwork = { mode: 'Cni', networks: [{ name: chain.name }] };
      rows.push(await measure(name, spec, networks, (figures) => callPlugins(chain, pluginPath, runtimeDir, figures)));
    }
    if (values.json) console.log(JSON.stringify(rows));
    else console.table(rows);
  } finally {
    await networks.recover([]);
    await networks.close();
    rmSync(dir, { recursive: true, force: true });
    rmSync(runtimeDir, { recursive: true, force: true });
  }
}

interface Figures {
  up: number[];
  down: number[];
}

/** Both in turns: the machine is now faster, now slower. */
async function measure(
  network: string,
  spec: TaskNetwork,
  networks: Networks,
  floor?: (figures: Figures) => Promise<void>,
): Promise<Record<string, string | number>> {
  const ours: Figures = { up: [], down: [] };
  const alone: Figures = { up: [], down: [] };
  // A chain without portmap cannot map the port: it is measured without.
  const ports = network.includes('portmap') ? [{ name: 'http', containerPort: 80, hostPort: 31000 }] : [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const id = randomUUID();
    const task = {
      metadata: { name: 'bench', namespace: 'default', uid: id },
      spec: { containers: [{ name: 'one', ports }, { name: 'two' }], network: spec },
    } as Task;
    ours.up.push(await timed(() => networks.setUp(task, id)));
    ours.down.push(await timed(() => networks.tearDown(id)));
    await floor?.(alone);
  }
  return {
    network,
    'set up p50 ms': rounded(median(ours.up)),
    'p99 ms': rounded(percentile(ours.up, 99)),
    'take back p50 ms': rounded(median(ours.down)),
    ...(floor && {
      'plug-ins alone p50 ms': rounded(median(alone.up)),
      'their DEL p50 ms': rounded(median(alone.down)),
    }),
  };
}

/** The floor: the plug-ins in a ready namespace, each a process spawned from here. */
async function callPlugins(
  { name, cniVersion, plugins }: Configuration,
  pluginPath: string,
  runtimeDir: string,
  figures: Figures,
): Promise<void> {
  const id = randomUUID();
  const directory = join(runtimeDir, 'floor');
  const { net } = await holdNamespaces(directory, ['net']);
  let prevResult: unknown;
  const portMappings = [{ hostPort: 31001, containerPort: 80, protocol: 'tcp' }];
  const call = async (command: string, plugin: Record<string, unknown>): Promise<void> => {
    const runtimeConfig = plugin.type === 'portmap' ? { portMappings } : {};
    const input = { ...plugin, name, cniVersion, runtimeConfig, ...(prevResult !== undefined && { prevResult }) };
    const answer = await run(join(pluginPath, String(plugin.type)), JSON.stringify(input), {
      PATH: process.env.PATH ?? '',
      CNI_COMMAND: command,
      CNI_CONTAINERID: id,
      CNI_NETNS: net,
      CNI_IFNAME: 'eth0',
      CNI_PATH: pluginPath,
    });
    if (command === 'ADD') prevResult = JSON.parse(answer);
  };
  const callAll = async (command: string, list: Record<string, unknown>[]): Promise<void> => {
    for (const plugin of list) await call(command, plugin);
  };
  figures.up.push(await timed(() => callAll('ADD', plugins)));
  figures.down.push(await timed(() => callAll('DEL', plugins.toReversed())));
  await releaseNamespaces(directory);
}

function run(program: string, input: string, env: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, [], { env }, (error, stdout) =>
      error ? reject(new Error(stdout, { cause: error })) : resolve(stdout),
    );
    child.stdin?.end(input);
  });
}

interface Configuration {
  cniVersion: string;
  name: string;
  plugins: Record<string, unknown>[];
}

function configuration(chain: string, types: string[], index: number, dir: string): Configuration {
  const settings: Record<string, object> = {
    bridge: {
      bridge: `bench${index}`,
      isGateway: true,
      ipMasq: true,
      ipam: { type: 'host-local', dataDir: join(dir, 'leases'), ranges: [[{ subnet: `10.89.${index}.0/24` }]] },
    },
    portmap: { capabilities: { portMappings: true } },
    firewall: {},
  };
  return { cniVersion: '1.0.0', name: nameOf(chain), plugins: types.map((type) => ({ type, ...settings[type] })) };
}

function nameOf(chain: string): string {
  return chain.replaceAll(' + ', '-');
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10;
}
