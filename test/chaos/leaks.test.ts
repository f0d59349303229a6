/**
 * Nothing is left of containers, however they ended: many containers of every kind are started and ended, and some of them are caught by a SIGKILL
 * of their agent at a random step of their launch. TEPUI_LEAK_CONTAINERS and TEPUI_LEAK_CAUGHT set how many (1000 and 200).
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Agent, ConfigMap, Task } from '../../controllers/machinery/client/resources.ts';
import type { TaskSpec } from '../../crds/types.generated.ts';
import { isTerminal } from '../../runtime/agent/tasks/status.ts';
import { allHierarchies } from '../../runtime/cgroups/leftovers.ts';
import { makeImage, noBusybox } from '../runtime/agent/support/oci-layout.ts';
import { NAMESPACE, noContainers, type Platform, startPlatform } from '../runtime/agent/support/platform.ts';
import { bridgeNetwork, type CniBed, makeCniBed } from '../runtime/network/harness.ts';
import { cniProblem } from '../setup/cni-plugins.ts';
import { aptProblem } from '../setup/debian.ts';

const problem =
  noContainers() ??
  noBusybox ??
  cniProblem() ??
  aptProblem('crun', () => execFileSync('crun', ['--version'], { stdio: 'ignore' }));
const suite = problem ? describe.skip : describe;
if (problem) process.stderr.write(`leaks skipped: ${problem}\n`);

const CONTAINERS = Number(process.env.TEPUI_LEAK_CONTAINERS ?? 1000);
const CAUGHT = Number(process.env.TEPUI_LEAK_CAUGHT ?? 200);
const AT_ONCE = 12;
const PROGRAM = new URL('../runtime/agent/support/agent-process.ts', import.meta.url).pathname;

suite(`leaks of ${CONTAINERS} containers, ${CAUGHT} caught in their launch (${problem ?? 'native and crun'})`, () => {
  let platform: Platform;
  let bed: CniBed;
  let agent: ChildProcess;
  let kinds: Record<string, Partial<TaskSpec>>;
  let created = 0;
  /** Tasks that are not known to have ended, by name. */
  const open = new Set<string>();

  beforeAll(async () => {
    bed = await makeCniBed();
    await bed.configure('10.conflist', bridgeNetwork('blue', 78));
    platform = await startPlatform();
    await startAgent();
    await platform.client.mergePatch(
      Agent,
      { name: platform.agentName },
      { spec: { isolation: { allowedHostPaths: [platform.dataDir, '/var/lib'] } } },
    );
    await platform.client.create(ConfigMap, {
      metadata: { namespace: NAMESPACE, name: 'leak' },
      data: { key: 'value' },
    });
    const layout = join(platform.dataDir, 'layout');
    mkdirSync(layout);
    kinds = kindsOf(makeImage(layout));
  }, 180_000);
  afterAll(async () => {
    await end('SIGKILL');
    await platform?.close();
    await bed?.close();
  }, 120_000);

  async function startAgent(): Promise<void> {
    const { kubeconfig, dataDir, agentName, runtimeRoot } = platform;
    const options = {
      cniConfigDirectory: join(bed.dir, 'agent/cni/net.d'),
      cniPluginPath: join(bed.dir, 'bin'),
      ociRuntime: 'crun',
    };
    agent = spawn(process.execPath, [PROGRAM, kubeconfig, dataDir, agentName, runtimeRoot, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise<void>((resolve, reject) => {
      agent.stdout!.on('data', (chunk: Buffer) => chunk.includes('ready') && resolve());
      agent.once('exit', (code) => reject(new Error(`the agent ended with ${code}`)));
    });
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (!agent || agent.exitCode !== null || agent.signalCode !== null) return;
    const gone = new Promise((resolve) => agent.once('exit', resolve));
    agent.kill(signal);
    await gone;
  }

  async function createOne(): Promise<void> {
    const names = Object.keys(kinds);
    const kind = names[created % names.length]!;
    const name = `leak-${created++}-${kind}`;
    const { containers = [{}], ...spec } = kinds[kind]!;
    const [first, ...others] = containers as Partial<TaskSpec['containers'][number]>[];
    open.add(name);
    const more = others.map((other, index) => ({ name: `more-${index}`, ...other }));
    const group = more.length > 0 && { containers: [{ name: 'main', ...first }, ...more] };
    await platform.createTask(name, first!, { ...spec, ...group } as Partial<TaskSpec>);
  }

  /** Deletes what has ended; resolves when no more than `most` have not. */
  async function untilOpen(most: number, deadlineMs = 120_000): Promise<void> {
    const deadline = Date.now() + deadlineMs;
    for (;;) {
      const { items } = await platform.client.list(Task, { namespace: NAMESPACE });
      const present = new Map(items.map((task) => [task.metadata.name!, task]));
      for (const name of open) {
        const task = present.get(name);
        if (task && !isTerminal(task.status?.state)) continue;
        open.delete(name);
        if (task && !task.metadata.deletionTimestamp)
          await platform.client.delete(Task, { namespace: NAMESPACE, name });
      }
      if (open.size <= most) return;
      if (Date.now() > deadline) {
        const left = [...open].map(
          (name) =>
            `${name}: ${JSON.stringify(present.get(name)?.status?.message ?? present.get(name)?.status?.state)}`,
        );
        throw new Error(`not ended: ${left.slice(0, 5).join('; ')}`);
      }
      await sleep(20);
    }
  }

  async function untilForgotten(): Promise<void> {
    await untilOpen(0);
    const deadline = Date.now() + 60_000;
    while ((await platform.client.list(Task, { namespace: NAMESPACE })).items.length > 0) {
      if (Date.now() > deadline) throw new Error('some tasks stay in their deletion');
      await sleep(50);
    }
  }

  /** Starts and ends containers of all kinds, then lets the agent be killed in launches; the machine is as it was after both. */
  async function round(containers: number, caughtContainers: number): Promise<void> {
    // The first of each kind makes what stays: launchers, image layers, directories.
    for (let i = 0; i < Object.keys(kinds).length; i++) await createOne();
    await untilForgotten();
    const before = await left();

    const last = created + containers - caughtContainers - Object.keys(kinds).length;
    while (created < last) {
      await untilOpen(AT_ONCE);
      await createOne();
    }
    await untilForgotten();
    expect(await left()).toEqual(before);

    let caught = 0;
    while (caught < caughtContainers) {
      const burst = Math.min(AT_ONCE, caughtContainers - caught);
      for (let i = 0; i < burst; i++) await createOne();
      await sleep(Math.random() * 250);
      await end('SIGKILL');
      const { items } = await platform.client.list(Task, { namespace: NAMESPACE });
      caught += items.filter((task) => !isTerminal(task.status?.state)).length;
      await startAgent();
      await untilOpen(0);
    }
    await untilForgotten();
    expect(await left()).toEqual(before);
  }

  test('all end, and the machine is as it was', () => round(CONTAINERS, CAUGHT), 1_800_000);

  test('the same with an OCI runtime, a tenth as many', async () => {
    const spec = { containerizers: ['oci', 'native'] };
    await platform.client.mergePatch(Agent, { name: platform.agentName }, { spec });
    await round(CONTAINERS / 10, CAUGHT / 10);
    expect(entries(join(instanceDirectory(), 'oci'))).toContain('launcher.sock');
  }, 1_800_000);

  /** What this agent has on the machine. Things die in the background: looked at until it is as often the same. */
  async function left() {
    let last = '';
    for (let same = 0; same < 5; ) {
      await sleep(200);
      const found = JSON.stringify(await look());
      same = found === last ? same + 1 : 0;
      last = found;
    }
    return JSON.parse(last) as Awaited<ReturnType<typeof look>>;
  }

  async function look() {
    const places = [platform.dataDir, platform.runtimeRoot];
    const names = (text: string) => places.some((place) => text.includes(place));
    const { interfaces, rules, leases } = await bed.leftovers();
    return {
      processes: pids().filter((pid) => Number(pid) !== agent.pid && names(commandLine(pid))).length,
      groups: groups(),
      mounts: lines('/proc/self/mountinfo').filter(names).length,
      loops: loopDevices().filter(names),
      network: { interfaces, rules, leases },
      held: entries(join(instanceDirectory(), 'tasks')),
      launches: [
        ...entries(join(instanceDirectory(), 'launches')),
        ...entries(join(instanceDirectory(), 'oci/launches')),
      ],
      bundles: entries(join(instanceDirectory(), 'oci/bundles')),
      roots: entries(join(platform.dataDir, 'agent/rootfs')),
      exits: [
        ...entries(join(platform.dataDir, 'agent/containers')),
        ...entries(join(platform.dataDir, 'agent/containers-oci')),
      ],
      records: entries(join(platform.dataDir, 'agent/meta/tasks')),
      sandboxes: entries(join(platform.dataDir, 'agent/sandboxes')),
      // Sockets of its own clients come and go.
      launcherFiles: pids()
        .filter(
          (pid) =>
            commandLine(pid).includes('launcher') && commandLine(pid).includes('serve') && names(commandLine(pid)),
        )
        .map((pid) => files(pid).filter((target) => !target.startsWith('socket:')).length),
    };
  }

  const instanceDirectory = () => join(platform.runtimeRoot, entries(platform.runtimeRoot)[0] ?? 'none');

  /** In every hierarchy, whoever made them. */
  function groups(): string[] {
    const instance = entries(platform.runtimeRoot)[0];
    return allHierarchies().flatMap((hierarchy) =>
      ['', '.oci'].flatMap((suffix) =>
        entries(`${hierarchy}/tepui/${instance}${suffix}`).filter((name) => /^[0-9a-f]{8}-/.test(name)),
      ),
    );
  }
});

function kindsOf(image: string): Record<string, Partial<TaskSpec>> {
  const of = (container: object, spec: object = {}) => {
    const command = 'shell' in container ? {} : { command: ['true'] };
    return { containers: [{ ...command, ...container }], ...spec } as unknown as Partial<TaskSpec>;
  };
  return {
    host: of({}),
    none: of({}, { network: { mode: 'None' } }),
    failing: of({ command: ['/no/such/program'] }),
    image: of({ image }),
    'writable-image': of({ image, shell: 'echo x > /etc/new', security: { readOnlyRootFilesystem: false } }),
    group: {
      containers: [{ command: ['true'] }, { command: ['true'] }],
      initContainers: [{ name: 'first', command: ['true'] }],
    } as unknown as Partial<TaskSpec>,
    cni: of({}, { network: { mode: 'Cni', networks: [{ name: 'blue' }] } }),
    memory: of(
      {
        volumeMounts: [
          { name: 'scratch', mountPath: '/scratch' },
          { name: 'config', mountPath: '/config' },
        ],
      },
      {
        volumes: [
          { name: 'scratch', tmpfs: { sizeLimit: '1Mi' } },
          { name: 'config', configMap: { name: 'leak' } },
        ],
      },
    ),
    file: of({ resources: { limits: { disk: '8Mi' }, diskEnforcement: 'File' } }),
    terminal: of({ tty: true }),
    killed: of(
      { command: ['sleep', '1000'] },
      { maxCompletionTimeSeconds: 0.05, killPolicy: { gracePeriodSeconds: 0 } },
    ),
    restarted: of(
      { shell: 'exit 1' },
      { restartPolicy: { condition: 'OnFailure', maxRestarts: 1, backoff: { initialSeconds: 0.01 } } },
    ),
  };
}

function pids(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

function files(pid: string): string[] {
  return entries(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

function loopDevices(): string[] {
  return entries('/sys/block').flatMap((name) => {
    const path = `/sys/block/${name}/loop/backing_file`;
    return existsSync(path) ? [readFileSync(path, 'utf8').trim()] : [];
  });
}

function lines(path: string): string[] {
  return readFileSync(path, 'utf8').split('\n');
}

function entries(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).sort() : [];
}
