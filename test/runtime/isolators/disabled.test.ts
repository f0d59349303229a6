/** Isolators that an operator switches off, and those that a host cannot have. */
import { tmpdir } from 'node:os';
import { describe, expect, test } from '@jest/globals';
import type { TaskContainer } from '../../../crds/types.generated.ts';
import type { ExtraGroups } from '../../../runtime/cgroups/extra.ts';
import { deviceAccessIsolator } from '../../../runtime/isolators/devices.ts';
import {
  disabledIsolatorsProblem,
  isolatorProblems,
  namesInUse,
  optionalIsolators,
  switchable,
} from '../../../runtime/isolators/disabled.ts';
import type { ContainerSpec, Isolator, IsolatorHost } from '../../../runtime/isolators/isolator.ts';
import { hasCompiler } from '../launcher/harness.ts';

describe('the list of isolators to do without', () => {
  test('may name any that a container can do without', () => {
    expect(disabledIsolatorsProblem([...optionalIsolators])).toBeUndefined();
    expect(disabledIsolatorsProblem(undefined)).toBeUndefined();
  });

  test.each(['linux/capabilities', 'cgroups/memory', 'filesystem/proc', 'cgroups/devices', 'typo'])(
    'may not name %s',
    (name) => {
      expect(disabledIsolatorsProblem(['linux/seccomp', name])).toContain(
        `${name} cannot be left out; only cgroups/cpuset`,
      );
    },
  );
});

describe('an isolator that is switched off', () => {
  const calls: string[] = [];
  const seccomp: Isolator = {
    name: 'linux/seccomp',
    asks: ({ security }) => (security?.seccompProfile?.type === 'Localhost' ? 'security.seccompProfile' : undefined),
    contribute: () => ({ lockdown: [{ op: 'noNewPrivileges' }] }),
    prepare: () => void calls.push('prepare'),
    cleanup: async () => void calls.push('cleanup'),
  };
  const disabledIsolators: string[] = [];
  const isolator = switchable(seccomp, { policy: () => ({ disabledIsolators }) });
  const spec = {} as ContainerSpec;
  const asking = {
    name: 'c',
    security: { seccompProfile: { type: 'Localhost', localhostProfile: 'x' } },
  } as TaskContainer;

  test('contributes and makes nothing, removes what it made before, and refuses what is asked of it', async () => {
    expect(isolator.contribute!(spec)).not.toEqual({});
    expect(isolatorProblems([isolator], asking)).toEqual([]);
    disabledIsolators.push('linux/seccomp');
    expect(isolator.contribute!(spec)).toEqual({});
    isolator.prepare!(spec);
    await isolator.cleanup!('c');
    expect(calls).toEqual(['cleanup']);
    expect(isolatorProblems([isolator], asking)).toEqual([
      'security.seccompProfile: this agent does without linux/seccomp (Agent spec.isolation.disabledIsolators)',
    ]);
    expect(isolatorProblems([isolator], { name: 'c' })).toEqual([]);
  });

  test('one that cannot be left out is not switchable', () => {
    const memory: Isolator = { name: 'cgroups/memory' };
    expect(switchable(memory, { policy: () => ({ disabledIsolators: ['cgroups/memory'] }) })).toBe(memory);
  });
});

// Needs cc.
(hasCompiler ? test : test.skip)(
  'where rules for devices cannot be set, the isolator is not in use, and devices are refused with the reason',
  async () => {
    const extra: Partial<ExtraGroups> = { version: () => 'v2', top: () => tmpdir(), findShared: () => undefined };
    const isolator = deviceAccessIsolator({ cgroups: { extra } } as unknown as IsolatorHost);
    await isolator.open!();
    expect(isolator.unavailable!()).toContain('cannot set the device rules of');
    expect(namesInUse([isolator, { name: 'other' }, { name: 'other' }])).toEqual(['other']);
    const asking = { name: 'c', devices: [{ path: '/dev/fuse' }] } as TaskContainer;
    expect(isolatorProblems([isolator], asking)).toEqual([
      expect.stringMatching(/^devices: this agent cannot limit what devices are opened: cannot set the device rules/),
    ]);
    expect(isolator.contribute!({ container: asking } as ContainerSpec)).toEqual({});
  },
);
