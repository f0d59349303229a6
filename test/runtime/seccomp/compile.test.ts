import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { emitProgram, RETURN_ENOSYS, RETURN_KILL_PROCESS } from '../../../runtime/seccomp/bpf.ts';
import { compileSeccompProfile, defaultSeccompProfile, parseSeccompProfile } from '../../../runtime/seccomp/compile.ts';
import type { CompareOp, Condition } from '../../../runtime/seccomp/profile.ts';
import { type Rule, selectRules } from '../../../runtime/seccomp/select.ts';
import { loadSyscallNumbers, nativeArch, parseMacros } from '../../../runtime/seccomp/syscalls.ts';
import { simulate } from './simulator.ts';

const X86_64 = 0xc000_003e;
const AARCH64 = 0xc000_00b7;
const ALLOW = 0x7fff_0000;
const ERRNO = 0x0005_0000;
const none = [0n, 0n, 0n, 0n, 0n, 0n];

function holds({ index, op, value, valueTwo }: Condition, args: bigint[]): boolean {
  const arg = args[index]!;
  const results: Record<CompareOp, boolean> = {
    SCMP_CMP_NE: arg !== value,
    SCMP_CMP_LT: arg < value,
    SCMP_CMP_LE: arg <= value,
    SCMP_CMP_EQ: arg === value,
    SCMP_CMP_GE: arg >= value,
    SCMP_CMP_GT: arg > value,
    SCMP_CMP_MASKED_EQ: (arg & value) === valueTwo,
  };
  return results[op];
}

const word = fc.oneof(
  fc.bigInt(0n, 4n),
  fc.bigInt(0n, (1n << 64n) - 1n),
  fc.constantFrom(0xffff_ffffn, 1n << 32n, (1n << 32n) + 1n, (1n << 64n) - 1n),
);
const ops: CompareOp[] = [
  'SCMP_CMP_NE',
  'SCMP_CMP_LT',
  'SCMP_CMP_LE',
  'SCMP_CMP_EQ',
  'SCMP_CMP_GE',
  'SCMP_CMP_GT',
  'SCMP_CMP_MASKED_EQ',
];
const condition = fc.record({ index: fc.nat(5), op: fc.constantFrom(...ops), value: word, valueTwo: word });
const rule = fc.record({
  conditions: fc.array(condition, { maxLength: 6 }),
  returns: fc.nat(0xffff).map((n) => ERRNO + n),
});

test('a program decides as its rules say, for every number and argument', () => {
  const table = fc.array(fc.tuple(fc.nat(460), fc.array(rule, { minLength: 1, maxLength: 5 })), { maxLength: 200 });
  const probes = fc.array(
    fc.record({
      number: fc.oneof(fc.nat(470), fc.nat(0xffff_ffff)),
      args: fc.tuple(word, word, word, word, word, word),
    }),
    { minLength: 30, maxLength: 30 },
  );
  fc.assert(
    fc.property(table, probes, (entries, calls) => {
      const rules = new Map<number, Rule[]>(entries);
      const program = emitProgram('x86_64', rules, 460, ALLOW);
      for (const { number, args } of [...calls, ...entries.map(([number]) => ({ number, args: calls[0]!.args }))]) {
        const found = (rules.get(number) ?? []).find((candidate) =>
          candidate.conditions.every((each) => holds(each, args)),
        );
        const expected = number > 460 ? RETURN_ENOSYS : (found?.returns ?? ALLOW);
        expect(simulate(program, { number, arch: X86_64, args })).toBe(expected);
      }
    }),
    { numRuns: 150 },
  );
});

test('another architecture is killed, x32 and numbers of the future answer ENOSYS', () => {
  const program = emitProgram('x86_64', new Map(), 400, ALLOW);
  expect(simulate(program, { number: 1, arch: 0x4000_0003, args: none })).toBe(RETURN_KILL_PROCESS);
  expect(simulate(program, { number: 1, arch: AARCH64, args: none })).toBe(RETURN_KILL_PROCESS);
  expect(simulate(program, { number: 0x4000_0001, arch: X86_64, args: none })).toBe(RETURN_ENOSYS);
  expect(simulate(program, { number: 401, arch: X86_64, args: none })).toBe(RETURN_ENOSYS);
  expect(simulate(program, { number: 400, arch: X86_64, args: none })).toBe(ALLOW);
  expect(simulate(emitProgram('aarch64', new Map(), 400, ALLOW), { number: 1, arch: AARCH64, args: none })).toBe(ALLOW);
});

describe('selection of entries', () => {
  const numbers = new Map([
    ['read', 0],
    ['write', 1],
    ['clone', 56],
  ]);
  const context = { arch: 'x86_64' as const, kernel: '6.1.0-18-amd64', capabilities: ['SYS_ADMIN'] };
  const select = (syscalls: unknown[], rest: object = {}) =>
    selectRules(
      parseSeccompProfile(JSON.stringify({ defaultAction: 'SCMP_ACT_ERRNO', syscalls, ...rest })),
      context,
      numbers,
    );
  const allow = { action: 'SCMP_ACT_ALLOW' };

  test('an unknown name is ignored', () => {
    expect([...select([{ names: ['read', 'nosuchcall'], ...allow }]).keys()]).toEqual([0]);
  });

  test('capabilities, architectures and kernels include and exclude', () => {
    const included = (fields: object) => select([{ names: ['read'], ...allow, ...fields }]).has(0);
    expect(included({ includes: { caps: ['CAP_SYS_ADMIN'] } })).toBe(true);
    expect(included({ includes: { caps: ['CAP_SYS_ADMIN', 'CAP_BPF'] } })).toBe(false);
    expect(included({ excludes: { caps: ['CAP_SYS_ADMIN'] } })).toBe(false);
    expect(included({ includes: { arches: ['amd64', 'x32'] } })).toBe(true);
    expect(included({ includes: { arches: ['s390'] } })).toBe(false);
    expect(included({ excludes: { arches: ['amd64'] } })).toBe(false);
    expect(included({ includes: { minKernel: '6.1' } })).toBe(true);
    expect(included({ includes: { minKernel: '6.10' } })).toBe(false);
    expect(included({ excludes: { minKernel: '4.8' } })).toBe(false);
  });

  test('two conditions on one argument are alternatives, on two arguments they add up', () => {
    const arg = (index: number, value: number) => ({ index, value, op: 'SCMP_CMP_EQ' });
    expect(select([{ names: ['read'], ...allow, args: [arg(0, 1), arg(0, 2)] }]).get(0)).toHaveLength(2);
    expect(select([{ names: ['read'], ...allow, args: [arg(0, 1), arg(1, 2)] }]).get(0)).toHaveLength(1);
  });

  test('a profile for other machines is refused', () => {
    expect(() => select([], { architectures: ['SCMP_ARCH_S390X'] })).toThrow(/SCMP_ARCH_S390X, not SCMP_ARCH_X86_64/);
    expect(() =>
      select([], { archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }] }),
    ).not.toThrow();
  });
});

describe('a malformed profile is refused with the place', () => {
  const entry = { names: ['read'], action: 'SCMP_ACT_ALLOW' };
  test.each([
    ['{', /JSON/],
    ['[]', /the profile: must be an object/],
    [{}, /defaultAction: must be a text/],
    [{ defaultAction: 'ALLOW' }, /defaultAction: "ALLOW" is no action/],
    [{ defaultAction: 'SCMP_ACT_NOTIFY' }, /not supported/],
    [{ defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 5000 }, /defaultErrnoRet: must be between/],
    [{ defaultAction: 'SCMP_ACT_ALLOW', syscalls: {} }, /syscalls: must be a list/],
    [{ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [entry, 5] }, /syscalls\[1\]: must be an object/],
    [{ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...entry, names: [] }] }, /syscalls\[0\]\.names/],
    [{ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...entry, names: ['read', 7] }] }, /syscalls\[0\]\.names\[1\]/],
    [{ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...entry, action: 'NO' }] }, /syscalls\[0\]\.action/],
    [
      { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...entry, args: [{ index: 6, value: 1, op: 'SCMP_CMP_EQ' }] }] },
      /syscalls\[0\]\.args\[0\]\.index/,
    ],
    [
      { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...entry, args: [{ index: 0, value: -1, op: 'SCMP_CMP_EQ' }] }] },
      /args\[0\]\.value/,
    ],
    [
      { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...entry, args: [{ index: 0, value: 1, op: 'EQ' }] }] },
      /args\[0\]\.op: "EQ"/,
    ],
    [
      { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...entry, includes: { minKernel: 'new' } }] },
      /includes\.minKernel/,
    ],
    [
      { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...entry, excludes: { caps: 'CAP_X' } }] },
      /excludes\.caps: must be a list/,
    ],
    [{ defaultAction: 'SCMP_ACT_ALLOW', listenerPath: '/x' }, /listenerPath/],
  ])('%j', (profile, message) => {
    const text = typeof profile === 'string' ? profile : JSON.stringify(profile);
    expect(() => parseSeccompProfile(text, 'site.json')).toThrow(message);
    expect(() => parseSeccompProfile(text, 'site.json')).toThrow(/^site\.json: /);
  });

  test('64-bit masks are taken exactly', () => {
    const text = `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"read","action":"SCMP_ACT_ERRNO","errnoRet":38,
      "args":[{"index":1,"value":18446744073709551615,"valueTwo":9223372036854775809,"op":"SCMP_CMP_MASKED_EQ"}]}]}`;
    const [only] = parseSeccompProfile(text).entries;
    expect(only).toMatchObject({
      names: ['read'],
      returns: ERRNO + 38,
      args: [{ value: (1n << 64n) - 1n, valueTwo: (1n << 63n) + 1n }],
    });
  });
});

describe('system call numbers', () => {
  test('come from this machine and include the newest', async () => {
    const numbers = await loadSyscallNumbers();
    expect(numbers.get('read')).toBe(nativeArch() === 'x86_64' ? 0 : 63);
    expect(numbers.get('clone3')).toBe(435);
    expect(numbers.get('mseal')).toBe(462);
  });

  test('are found behind another macro, as the generic table has them', () => {
    const numbers = parseMacros(
      '#define __NR3264_fcntl 25\n#define __NR_fcntl __NR3264_fcntl\n#define __NR_syscalls 451\n#define __NR_read 63\n',
    );
    expect([numbers.get('fcntl'), numbers.get('read'), numbers.get('syscalls')]).toEqual([25, 63, undefined]);
  });
});

test('a program is compiled once for the same profile, capabilities and kernel', async () => {
  const profile = defaultSeccompProfile();
  const first = await compileSeccompProfile(profile, { capabilities: ['CHOWN', 'KILL'] });
  expect(await compileSeccompProfile(profile, { capabilities: ['KILL', 'CHOWN'] })).toBe(first);
  expect(await compileSeccompProfile(profile, { capabilities: ['SYS_ADMIN'] })).not.toBe(first);
  expect(first.length / 8).toBeLessThan(400);
});
