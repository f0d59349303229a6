/** A native containerizer of its own for one test file, with real cgroups and namespaces, and a check that it leaves nothing behind. */

import { randomBytes, randomUUID } from 'node:crypto';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import pino from 'pino';
import type { AgentIsolation, Task, TaskContainer } from '../../../crds/types.generated.ts';
import { detectCgroups } from '../../../runtime/cgroups/detect.ts';
import { allHierarchies } from '../../../runtime/cgroups/leftovers.ts';
import type { Containerizer, LaunchSpec, Termination } from '../../../runtime/containerizers/containerizer.ts';
import { createNativeContainerizer, type NativeOptions } from '../../../runtime/containerizers/native/containerizer.ts';
import { connectLauncher } from '../../../runtime/launcher/client.ts';
import { SLOW } from '../../setup/slow.ts';

export const nobody = { uid: 65534, gid: 65534, supplementalGids: [], name: 'nobody', home: '/nonexistent' };
export const root = { uid: 0, gid: 0, supplementalGids: [], name: 'root', home: '/root' };

/** Why these tests cannot run here; undefined when they can. */
export const unavailable = process.getuid?.() === 0 ? undefined : 'needs root';
export const cgroupVersion = unavailable ? 'v2' : detectCgroups().version;

export interface Result {
  termination: Termination;
  stdout: string;
  stderr: string;
}

type Part = Omit<Partial<LaunchSpec>, 'task'> & { task?: Partial<Task['spec']> };

export interface TestNode {
  containerizer: Containerizer;
  dataDir: string;
  runtimeDir: string;
  cgroupRoot: string;
  /** The operator's policy; may be changed between launches. */
  isolation: AgentIsolation;
  /** A spec for one container: nobody, 64 MiB, half a CPU; the sandbox exists. */
  spec(container: Partial<TaskContainer>, part?: Part): LaunchSpec;
  /** Launches, waits, reads the output, destroys. */
  run(container: Partial<TaskContainer>, part?: Part): Promise<Result>;
  /** As another agent process would find things: the old one is closed without any clean-up. */
  restart(options?: { bootId?: string }): Promise<void>;
  output(spec: LaunchSpec, name?: 'stdout' | 'stderr'): string;
  /** The container's own directories in all hierarchies. */
  groups(containerId: string): string[];
  close(): Promise<void>;
}

/** Makes the containerizer of a node; of a kind other than native it also says which cgroups are its own. */
export interface NodeKind {
  create(options: NativeOptions): Promise<Containerizer>;
  /** Path of its groups below each hierarchy, from the one the node gives it. */
  cgroupRoot?(root: string): string;
  /** Where its launcher and its records are, from what the node gives it. */
  runtimeDir?(directory: string): string;
  exitDirectory?(dataDir: string, runtimeDir: string): string;
  /** What every container has unless a test says otherwise. */
  container?: Partial<TaskContainer>;
}

const native: NodeKind = { create: createNativeContainerizer };

export async function startNode({
  parent = '/var/lib',
  kind = native,
  options: nodeOptions = {},
}: {
  parent?: string;
  kind?: typeof native;
  options?: NativeOptions['options'];
} = {}): Promise<TestNode> {
  const dataDir = mkdtempSync(join(realpathSync(parent), 'tepui-test-'));
  const runtimeDir = mkdtempSync('/run/tepui-test-');
  const cgroupRoot = `tepui-test-${randomBytes(4).toString('hex')}/node`;
  // Others on this machine mount things too: what counts is what names this node.
  const ownMounts = () =>
    readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => [dataDir, runtimeDir, cgroupRoot].some((name) => line.includes(name)));
  const ownRoot = kind.cgroupRoot?.(cgroupRoot) ?? cgroupRoot;
  const launcherDir = kind.runtimeDir?.(runtimeDir) ?? runtimeDir;
  const isolation: AgentIsolation = {};
  const open = (options: { bootId?: string } = {}) =>
    kind.create({
      dataDir,
      runtimeDir,
      cgroupRoot,
      logger: pino({ level: 'silent' }),
      options: { isolation: () => isolation, ...nodeOptions, ...options },
    });
  // Also those that only an OCI runtime or a Docker Engine makes groups in.
  const hierarchies = allHierarchies();

  const node: TestNode = {
    containerizer: await open(),
    dataDir,
    runtimeDir,
    cgroupRoot,
    isolation,
    spec(container, { task, ...rest } = {}) {
      const containerId = randomUUID();
      const sandbox = join(dataDir, 'agent/sandboxes/default/test/runs', containerId);
      const full: TaskContainer = { name: 'main', ...kind.container, ...container };
      const user = rest.user ?? nobody;
      mkdirSync(sandbox, { recursive: true });
      chownSync(sandbox, user.uid, user.gid);
      return {
        containerId,
        task: { metadata: { name: 'test', namespace: 'default' }, spec: { containers: [full], ...task } } as Task,
        container: full,
        sandbox,
        env: { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin' },
        user,
        mounts: [],
        resources: { requests: { cpus: 0.5, memBytes: 64 << 20 }, limits: {} },
        ...rest,
      };
    },
    async run(container, part) {
      const spec = node.spec(container, part);
      await node.containerizer.launch(spec);
      const termination = await node.containerizer.wait(spec.containerId);
      const result = { termination, stdout: node.output(spec), stderr: node.output(spec, 'stderr') };
      await node.containerizer.destroy(spec.containerId);
      return result;
    },
    async restart(options) {
      await node.containerizer.close();
      node.containerizer = await open(options);
    },
    output: (spec, name = 'stdout') =>
      existsSync(join(spec.sandbox, name)) ? readFileSync(join(spec.sandbox, name), 'utf8') : '',
    groups: (containerId) =>
      hierarchies.map((hierarchy) => `${hierarchy}/${ownRoot}/${containerId}`).filter((path) => existsSync(path)),
    async close() {
      await node.containerizer.recover([]);
      const records = readdirSync(kind.exitDirectory?.(dataDir, runtimeDir) ?? join(dataDir, 'agent/containers'));
      await node.containerizer.close();
      await endLauncher(launcherDir);
      rmSync(dataDir, { recursive: true });
      rmSync(runtimeDir, { recursive: true });
      expect(records).toEqual([]);
      expect(hierarchies.filter((hierarchy) => existsSync(`${hierarchy}/${cgroupRoot.split('/')[0]}`))).toEqual([]);
      expect(ownMounts()).toEqual([]);
      expect(processesNaming(runtimeDir)).toEqual([]);
    },
  };
  return node;
}

async function endLauncher(runtimeDir: string): Promise<void> {
  const launcher = await connectLauncher({ runtimeDir });
  // Supervisors take a moment to go after they have told the end of their container.
  await eventually(() => launcher.shutdownIfIdle(), 'the end of all supervisors');
  launcher.close();
  await eventually(() => processesNaming(runtimeDir).length === 0, 'the end of the launcher');
}

/** Launchers, supervisors and inits of a runtime directory have it in their command line. */
function processesNaming(text: string): string[] {
  return readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name) || name === String(process.pid)) return false;
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(text);
    } catch {
      return false;
    }
  });
}

const eventuallyMs = 5000 * SLOW;

/** Until the condition holds; throws after five seconds (more on a slow machine). */
export async function eventually(condition: () => boolean | Promise<boolean>, what = 'condition'): Promise<void> {
  const deadline = Date.now() + eventuallyMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`timed out: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
