/** AppArmor profiles: what is refused is tested everywhere, the kernel's part where the kernel has AppArmor. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { AppArmorProfile, TaskContainer } from '../../../crds/types.generated.ts';
import { appArmorIsolator, kernelAppArmor } from '../../../runtime/isolators/apparmor.ts';
import type { ContainerSpec } from '../../../runtime/isolators/isolator.ts';
import { aptProblem } from '../../setup/debian.ts';
import { startNode, type TestNode, unavailable } from '../containerizers/harness.ts';

const container = (appArmorProfile?: AppArmorProfile, more: object = {}) =>
  ({ name: 'c', security: { ...(appArmorProfile && { appArmorProfile }), ...more } }) as TaskContainer;
const localhost = (name: string): AppArmorProfile => ({ type: 'Localhost', localhostProfile: name });

describe('AppArmor profiles', () => {
  const isolator = (profiles: string[] | undefined, enabled = true) =>
    appArmorIsolator({ isEnabled: () => enabled, profiles: () => profiles });
  const operations = (asked: TaskContainer, profiles?: string[], enabled?: boolean) =>
    isolator(profiles, enabled).contribute!({ container: asked } as ContainerSpec).privileges ?? [];

  test.each<[string, AppArmorProfile, string[] | undefined, boolean, string[]]>([
    [
      'a host without AppArmor',
      localhost('x'),
      undefined,
      false,
      ['security.appArmorProfile: this agent has no AppArmor'],
    ],
    ['none where there is none', { type: 'Unconfined' }, undefined, false, []],
    [
      'one that is not loaded',
      localhost('x'),
      ['y'],
      true,
      ['security.appArmorProfile.localhostProfile: "x" is not loaded on this agent'],
    ],
    ['one that is', localhost('x'), ['x'], true, []],
    [
      'the usual one where there is none',
      { type: 'RuntimeDefault' },
      ['x'],
      true,
      [expect.stringContaining('none of the usual profiles is loaded') as unknown as string],
    ],
    ['any, where the list cannot be read', localhost('x'), undefined, true, []],
  ])('%s', (_what, profile, loaded, enabled, problems) => {
    expect(isolator(loaded, enabled).problems!(container(profile))).toEqual(problems);
  });

  test('become one operation, and none where nothing is asked for', () => {
    const profileOf = (...parameters: Parameters<typeof operations>) =>
      operations(...parameters).map((operation) => (operation as { profile: string }).profile);
    expect(profileOf(container())).toEqual([]);
    expect(profileOf(container(localhost('mine')))).toEqual(['mine']);
    expect(profileOf(container({ type: 'Unconfined' }))).toEqual(['unconfined']);
    expect(profileOf(container({ type: 'Unconfined' }), [], false)).toEqual([]);
    expect(profileOf(container({ type: 'RuntimeDefault' }), ['x', 'docker-default'])).toEqual(['docker-default']);
    expect(profileOf(container({ type: 'RuntimeDefault' }, { privileged: true }), ['docker-default'])).toEqual([
      'unconfined',
    ]);
    expect(() => profileOf(container(localhost('a\nb')))).toThrow('is no name of a profile');
  });
});

const noKernel = unavailable ?? (kernelAppArmor.isEnabled() ? undefined : 'the kernel has no AppArmor');
const problem =
  noKernel ?? aptProblem('apparmor', () => execFileSync('apparmor_parser', ['--version'], { stdio: 'ignore' }));
if (problem) process.stderr.write(`AppArmor in containers skipped: ${problem}\n`);

(problem ? describe.skip : describe)(`AppArmor in a container (${problem ?? 'works here'})`, () => {
  const name = `tepui-test-${process.pid}`;
  const security = '/sys/kernel/security';
  let node: TestNode;
  let isMounted = false;
  const parser = (option: string) =>
    execFileSync('apparmor_parser', [option, '--skip-cache'], {
      input: `profile ${name} flags=(attach_disconnected) { file, deny /etc/hostname r, }`,
      stdio: ['pipe', 'ignore', 'inherit'],
    });
  beforeAll(async () => {
    isMounted = existsSync(`${security}/apparmor`);
    if (!isMounted) execFileSync('mount', ['-t', 'securityfs', 'none', security]);
    parser('--replace');
    node = await startNode();
  }, 120_000);
  afterAll(async () => {
    await node?.close();
    parser('--remove');
    if (!isMounted) execFileSync('umount', [security]);
  });

  test('a loaded profile confines the command and further ones, and nothing else does', async () => {
    const shell = 'cat /proc/self/attr/current; cat /etc/hostname > /dev/null && echo read';
    const of = async (profile?: AppArmorProfile) =>
      (await node.run({ ...container(profile), shell })).stdout.trim().split('\n');
    expect(await of(localhost(name))).toEqual([`${name} (enforce)`]);
    expect(await of()).toEqual(['unconfined', 'read']);
    expect(await of({ type: 'Unconfined' })).toEqual(['unconfined', 'read']);
    const spec = node.spec({ ...container(localhost(name)), command: ['sleep', '60'] });
    await node.containerizer.launch(spec);
    const { containerId } = spec;
    const session = await node.containerizer.exec({
      containerId,
      argv: ['cat', '/proc/self/attr/current'],
      tty: false,
      stdin: false,
    });
    let text = '';
    session.stdout.on('data', (chunk) => (text += String(chunk)));
    await session.exit;
    await node.containerizer.destroy(containerId);
    expect(text.trim()).toBe(`${name} (enforce)`);
  });

  test('one that is not loaded fails the launch, should it have been unloaded meanwhile', async () => {
    const spec = node.spec({ ...container(localhost('tepui-test-none')), command: ['true'] });
    await expect(node.containerizer.launch(spec)).rejects.toThrow(/AppArmor profile tepui-test-none|command true/);
  });
});
