/** The hostile program of these tests: built once, and put into the sandbox of each container that is to run it. */
import { chmodSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, jest } from '@jest/globals';
import type { TaskContainer } from '../../../crds/types.generated.ts';
import type { LaunchSpec } from '../../../runtime/containerizers/containerizer.ts';
import { nobody, type Result, root, type TestNode } from '../containerizers/harness.ts';
import { buildProbe } from './build-probe.ts';

export { buildProbe };

// The first test of a machine compiles the launcher, and the program, which takes its time on a busy one.
jest.setTimeout(120_000);

/** Documents may ask for either. */
export const users = [
  { who: 'nobody', user: nobody },
  { who: 'root', user: root },
];

export interface Variant {
  /** In test names: "root with an image". */
  what: string;
  user: LaunchSpec['user'];
  image: boolean;
  /** As a launch has it; the image is made by `imageOf`. */
  part: Options;
}

/** Host ids that nobody on this machine has. */
const ids = { hostId: 1_879_048_192, size: 65_536 };
export const userNamespace = { uids: ids, gids: ids };

/** Every kind of container that a document can ask for without any permission of the agent. */
export const variants: Variant[] = [false, true].flatMap((image) =>
  [false, true].flatMap((own) =>
    users.map(({ who, user }) => ({
      what: `${who}${image ? ' with an image' : ''}${own ? ' in a user namespace' : ''}`,
      user,
      image,
      part: { user, ...(own && { userNamespace }) },
    })),
  ),
);

/** What refuses an attempt for good, as opposed to an attempt that got through and was merely badly made. */
const refusals = ['EPERM', 'ENOSYS', 'EACCES', 'EROFS', 'ENOENT', 'ECONNREFUSED', 'ETXTBSY'];

export type Options = Omit<Partial<LaunchSpec>, 'task'> & { task?: Partial<LaunchSpec['task']['spec']> };

/** A spec whose sandbox holds the program as `./probe`. */
export async function probeSpec(
  node: TestNode,
  container: Partial<TaskContainer>,
  options?: Options,
): Promise<LaunchSpec> {
  const spec = node.spec(container, options);
  const path = join(spec.sandbox, 'probe');
  copyFileSync(await buildProbe(), path);
  chmodSync(path, 0o755);
  return spec;
}

/** Runs `script` in a shell beside the program. */
export async function runHostile(node: TestNode, script: string, options?: Options): Promise<Result> {
  const spec = await probeSpec(node, { shell: script }, options);
  await node.containerizer.launch(spec);
  const termination = await node.containerizer.wait(spec.containerId);
  const result = { termination, stdout: node.output(spec), stderr: node.output(spec, 'stderr') };
  await node.containerizer.destroy(spec.containerId);
  return result;
}

/** Runs the program as a further command (`tepui exec`) in a container that sleeps. */
export async function execHostile(
  node: TestNode,
  argv: string[],
  options: Options & { tty?: boolean } = {},
): Promise<{ stdout: string; stderr: string }> {
  const { tty = false, ...part } = options;
  const spec = await probeSpec(node, { command: ['sleep', '60'] }, part);
  const { containerId } = spec;
  await node.containerizer.launch(spec);
  try {
    const session = await node.containerizer.exec({ containerId, argv, tty, stdin: tty });
    const [stdout, stderr] = await Promise.all([textOf(session.stdout), session.stderr ? textOf(session.stderr) : '']);
    await session.exit;
    return { stdout, stderr };
  } finally {
    await node.containerizer.destroy(containerId);
  }
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

/** Every line is an attempt and says how it ended: all of them must have been refused. */
export function expectRefused({ stdout, stderr }: { stdout: string; stderr: string }, least = 1): void {
  const attempts = stdout.trim().split('\n');
  expect(stderr).toBe('');
  expect(attempts.filter((line) => !refusals.includes(line.split(' ').at(-1) ?? ''))).toEqual([]);
  expect(attempts.length).toBeGreaterThanOrEqual(least);
}
