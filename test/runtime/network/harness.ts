/**
 * Real CNI plug-ins whose "host" is a network namespace of the test's: each plug-in is called through a wrapper that enters it first. So the
 * machine's own network is never touched, and whatever is left behind goes with the namespace - after the test has looked for it.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { type Logger, pino } from 'pino';
import type { Task, TaskNetwork } from '../../../crds/types.generated.ts';
import { holdNamespaces, releaseNamespaces } from '../../../runtime/launcher/hold.ts';
import { type NetworkOptions, type Networks, openNetworks } from '../../../runtime/network/index.ts';
import { CNI_PLUGINS } from '../../setup/cni-plugins.ts';
import { eventually } from '../launcher/harness.ts';

export interface CniBed {
  dir: string;
  networks: Networks;
  /** What was logged at warn and above. */
  logged: Record<string, unknown>[];
  options: NetworkOptions;
  /** Writes a configuration file. */
  configure(file: string, content: unknown): Promise<void>;
  /** A plug-in of the test's own, as a shell script; `$DIR/calls` has a line per call. */
  plugin(name: string, script: string): Promise<void>;
  /** "ADD main eth0" per call of a plug-in of the test's. */
  calls(): Promise<string[]>;
  /** Another agent process: nothing is closed properly. */
  reopen(change?: Partial<NetworkOptions>): Promise<Networks>;
  inHost(...argv: string[]): string;
  inTask(groupId: string, ...argv: string[]): string;
  /** Starts a small HTTP server in the task's network that answers with its text; resolves when it listens. */
  serve(groupId: string, port: number, text: string, host?: string): Promise<void>;
  /** Interfaces, firewall rules, leases, records, mounts and directories that tasks left. */
  leftovers(): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

export const nothing = { interfaces: [], rules: [], leases: [], records: [], mounts: [], directories: [] };

export async function makeCniBed(): Promise<CniBed> {
  const dir = await mkdtemp(join(tmpdir(), 'tepui-cni-'));
  const [bin, runtimeDir, agentDirectory] = ['bin', 'run', 'agent'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  for (const directory of [bin, runtimeDir, agentDirectory]) await mkdir(directory);
  const host = (await holdNamespaces(join(dir, 'host'), ['net'])).net;
  for (const name of await readdir(CNI_PLUGINS)) {
    await script(join(bin, name), `exec nsenter --net=${host} ${CNI_PLUGINS}/${name}`);
  }
  const logged: Record<string, unknown>[] = [];
  const logger: Logger = pino({ level: 'warn' }, { write: (line: string) => void logged.push(JSON.parse(line)) });
  const options: NetworkOptions = { agentDirectory, runtimeDir, pluginPath: bin, logger };
  const children: ChildProcess[] = [];
  const enter = (namespace: string, argv: string[]): string => {
    const done = spawnSync('nsenter', [`--net=${namespace}`, ...argv], { encoding: 'utf8', timeout: 20_000 });
    if (done.status !== 0) throw new Error(`${argv.join(' ')}: ${done.status} ${done.stderr}${done.stdout}`);
    return done.stdout;
  };
  const bed: CniBed = {
    dir,
    networks: await openNetworks(options),
    logged,
    options,
    configure: async (file, content) =>
      writeFile(
        join(agentDirectory, 'cni/net.d', file),
        typeof content === 'string' ? content : JSON.stringify(content).replaceAll('$DIR', dir),
      ),
    plugin: (name, body) =>
      script(
        join(bin, name),
        `[ "$CNI_COMMAND" = VERSION ] && { echo '{"cniVersion":"1.1.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]}'; exit; }
DIR=${dir}; input=$(cat); printf '%s\\n' "$CNI_COMMAND ${name} $CNI_IFNAME" >> $DIR/calls; printf '%s\\n' "$input" > $DIR/${name}.$CNI_COMMAND
result='{"cniVersion":"1.0.0","interfaces":[],"ips":[]}'
${body}`,
      ),
    calls: async () => (await readFile(join(dir, 'calls'), 'utf8').catch(() => '')).split('\n').slice(0, -1),
    async reopen(change) {
      bed.networks = await openNetworks({ ...options, ...change });
      return bed.networks;
    },
    inHost: (...argv) => enter(host, argv),
    inTask: (groupId, ...argv) => enter(join(runtimeDir, 'tasks', groupId, 'network/net'), argv),
    async serve(groupId, port, text, address = '0.0.0.0') {
      const program = `require('http').createServer((_, response) => response.end(${JSON.stringify(text)})).listen(${port}, '${address}', () => console.log('ready'))`;
      const namespace = join(runtimeDir, 'tasks', groupId, 'network/net');
      const child = spawn('nsenter', [`--net=${namespace}`, process.execPath, '-e', program], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      children.push(child);
      await once(child.stdout, 'data');
    },
    async leftovers() {
      // What dies with a namespace does so in the background.
      await eventually(() => links(bed).length === 0, 'interfaces to go').catch(() => {});
      const list = async (path: string): Promise<string[]> => (existsSync(path) ? readdir(path) : []);
      const networks = await list(join(dir, 'leases'));
      const leases = await Promise.all(networks.map((network) => list(join(dir, 'leases', network))));
      return {
        interfaces: links(bed),
        rules: rules(bed),
        leases: leases.flat().filter((name) => !/^(lock|last_reserved)/.test(name)),
        records: await list(join(agentDirectory, 'networks')),
        mounts: (await readFile('/proc/self/mountinfo', 'utf8'))
          .split('\n')
          .filter((line) => line.includes(runtimeDir)),
        directories: await list(join(runtimeDir, 'tasks')),
      };
    },
    async close() {
      for (const child of children) child.kill('SIGKILL');
      await Promise.all(children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')));
      await bed.networks.recover([]);
      await bed.networks.close();
      await releaseNamespaces(join(dir, 'host'));
      expect((await readFile('/proc/self/mountinfo', 'utf8')).includes(dir)).toBe(false);
      await rm(dir, { recursive: true, force: true });
    },
  };
  return bed;
}

/** Interfaces of tasks on the host: not loopback, not bridges. */
function links(bed: CniBed): string[] {
  const all = JSON.parse(bed.inHost('ip', '-json', '-details', 'link')) as {
    ifname: string;
    linkinfo?: { info_kind?: string };
  }[];
  return all
    .filter(({ ifname, linkinfo }) => ifname !== 'lo' && linkinfo?.info_kind !== 'bridge')
    .map(({ ifname }) => ifname);
}

/** Rules that name a container or an address of one; empty chains and the plug-ins' own general rules stay by design. */
function rules(bed: CniBed): string[] {
  const all = ['iptables-save', 'ip6tables-save'].map((program) => bed.inHost(program)).join('\n');
  return all.split('\n').filter((line) => /10\.77\.|10\.78\.|fd77:|CNI-[0-9a-f]{8}|CNI-(DN|SN)-/.test(line));
}

/** A conflist of Debian's plug-ins on bridge `name`, addresses 10.<second>.0.0/24. */
export function bridgeNetwork(
  name: string,
  second: number,
  change: { plugins?: unknown[]; v6?: boolean; cniVersion?: string } = {},
): unknown {
  const range = (subnet: string) => [{ subnet }];
  return {
    cniVersion: change.cniVersion ?? '1.0.0',
    name,
    plugins: [
      {
        type: 'bridge',
        bridge: name,
        isGateway: true,
        ipMasq: true,
        capabilities: { ips: true },
        ipam: {
          type: 'host-local',
          dataDir: '$DIR/leases',
          ranges: [range(`10.${second}.0.0/24`), ...(change.v6 ? [range(`fd${second}::/64`)] : [])],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      ...(change.plugins ?? []),
    ],
  };
}

export function cniTask(network: Partial<TaskNetwork>, spec: Partial<Task['spec']> = {}, name = 'web'): Task {
  return {
    metadata: { name, namespace: 'default', uid: randomUUID() },
    spec: { containers: [{ name: 'main' }], network: { mode: 'Cni', ...network }, ...spec },
  } as Task;
}

async function script(path: string, body: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
}
