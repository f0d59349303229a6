import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { emitProgram } from '../../../runtime/seccomp/bpf.ts';
import { defaultSeccompProfile, parseSeccompProfile, type SeccompProfile } from '../../../runtime/seccomp/compile.ts';
import { keepProjects, keepProjectsWithoutOrder } from '../../../runtime/seccomp/keep-projects.ts';
import { selectRules } from '../../../runtime/seccomp/select.ts';
import { simulate } from './simulator.ts';

const X86_64 = 0xc000_003e;
const ALLOW = 0x7fff_0000;
const REFUSE = 0x0005_0001;
const IOCTL = 16;
const FILE_SETATTR = 469;
const numbers = new Map([
  ['read', 0],
  ['ioctl', IOCTL],
  ['file_setattr', FILE_SETATTR],
]);
const escapes = [0x401c_5820n, 0x4008_6602n];
const TIOCSTI = 0x5412n;

function answers(profile: SeccompProfile): (number: number, request?: bigint) => number {
  const context = { arch: 'x86_64' as const, kernel: '6.1.0', capabilities: [] };
  const program = emitProgram('x86_64', selectRules(profile, context, numbers), FILE_SETATTR, profile.defaultReturns);
  return (number, request = 0n) => simulate(program, { number, arch: X86_64, args: [0n, request, 0n, 0n, 0n, 0n] });
}

const of = (syscalls: object[], defaultAction = 'SCMP_ACT_ERRNO') =>
  parseSeccompProfile(JSON.stringify({ defaultAction, syscalls }));
const ioctl = (args?: object[]) => ({ names: ['read', 'ioctl'], action: 'SCMP_ACT_ALLOW', ...(args && { args }) });
const request = (op: string, value: bigint) => ({ index: 1, op: `SCMP_CMP_${op}`, value: Number(value) });

const ways = [
  ['in order', keepProjects],
  ['without order', keepProjectsWithoutOrder],
] as const;

describe.each(ways)('a profile that keeps the projects of a disk quota, %s', (_name, keep) => {
  const profiles: [string, SeccompProfile][] = [
    ['the default', defaultSeccompProfile()],
    ['one that allows what it names', of([ioctl(), { names: ['file_setattr'], action: 'SCMP_ACT_LOG' }])],
    ['one that refuses what it names', of([{ names: ['mount'], action: 'SCMP_ACT_ERRNO' }], 'SCMP_ACT_ALLOW')],
  ];

  test.each(profiles)('refuses the two requests and file_setattr, and changes nothing else: %s', (_which, profile) => {
    const old = answers(profile);
    const kept = answers(keep(profile));
    const word = fc.bigInt({ min: 0n, max: 2n ** 32n - 1n });
    const near = fc.tuple(fc.constantFrom(...escapes), fc.nat(31)).map(([value, bit]) => value ^ (1n << BigInt(bit)));
    fc.assert(
      fc.property(fc.oneof(word, near, fc.constantFrom(...escapes)), word, (low, high) => {
        const asked = (high << 32n) | low;
        expect(kept(IOCTL, asked)).toBe(escapes.includes(low) ? REFUSE : old(IOCTL, asked));
      }),
      { numRuns: 500 },
    );
    expect(kept(FILE_SETATTR)).toBe(REFUSE);
    expect(kept(0)).toBe(old(0));
  });

  test('goes together with conditions of its own on the request', () => {
    const without = answers(keep(of([ioctl([request('NE', TIOCSTI)])])));
    expect([TIOCSTI, ...escapes].map((value) => without(IOCTL, value))).toEqual([REFUSE, REFUSE, REFUSE]);
    expect(without(IOCTL, 0x5401n)).toBe(ALLOW);
    const only = answers(keep(of([ioctl([request('EQ', escapes[0]!)]), ioctl([request('EQ', 0x5401n)])])));
    expect([...escapes, TIOCSTI].map((value) => only(IOCTL, value))).toEqual([REFUSE, REFUSE, REFUSE]);
    expect(only(IOCTL, 0x5401n)).toBe(ALLOW);
  });

  test('stays one that refuses ioctl', () => {
    const none = answers(keep(of([{ names: ['read'], action: 'SCMP_ACT_ALLOW' }])));
    expect([none(IOCTL, 0x5401n), none(0)]).toEqual([REFUSE, ALLOW]);
  });
});

test('conditions that cannot be narrowed for libseccomp are refused', () => {
  expect(() => keepProjectsWithoutOrder(of([ioctl([request('LT', TIOCSTI)])]))).toThrow(
    /SCMP_CMP_LT .*disk quota.*SCMP_CMP_EQ or SCMP_CMP_NE/,
  );
});
