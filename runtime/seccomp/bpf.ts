/** Lays rules out as a classic BPF program: a binary search over system call numbers, so that no call pays for the length of the profile. */
import type { Condition } from './profile.ts';
import type { Rule } from './select.ts';
import type { SeccompArch } from './syscalls.ts';

export const RETURN_KILL_PROCESS = 0x8000_0000;
const ENOSYS = 38;
export const RETURN_ENOSYS = 0x0005_0000 + ENOSYS;
const X32_BIT = 0x4000_0000;
const auditArch: Record<SeccompArch, number> = { x86_64: 0xc000_003e, aarch64: 0xc000_00b7 };

const LOAD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP = 0x05;
const JEQ = 0x15;
const JGT = 0x25;
const JGE = 0x35;
const RETURN = 0x06;
/** Offsets in struct seccomp_data. */
const NUMBER = 0;
const ARCH = 4;
const ARGS = 16;

/** `yes` and `no` are how many instructions are skipped; `pass` and `fail` are the ends of the condition and of the rule. */
type Target = number | 'pass' | 'fail';
interface Instruction {
  code: number;
  k: number;
  yes?: Target;
  no?: Target;
}

/** Numbers from `start` up to the next segment are treated alike. */
interface Segment {
  start: number;
  rules: Rule[];
  otherwise: number;
}

export function emitProgram(
  arch: SeccompArch,
  rules: Map<number, Rule[]>,
  highest: number,
  otherwise: number,
): Uint8Array {
  const search = tree(segments(arch, rules, highest, otherwise));
  return assemble([
    { code: LOAD, k: ARCH },
    { code: JEQ, k: auditArch[arch], yes: 1, no: 0 },
    { code: RETURN, k: RETURN_KILL_PROCESS },
    { code: LOAD, k: NUMBER },
    ...search,
  ]);
}

function segments(arch: SeccompArch, rules: Map<number, Rule[]>, highest: number, otherwise: number): Segment[] {
  const result: Segment[] = [];
  const add = (segment: Segment): void => {
    const last = result.at(-1);
    const same = last?.rules.length === 0 && segment.rules.length === 0 && last.otherwise === segment.otherwise;
    if (!same) result.push(segment);
  };
  for (let number = 0; number <= highest; number++) {
    const chain = rules.get(number) ?? [];
    const unconditional = chain.length === 1 && chain[0]!.conditions.length === 0;
    if (unconditional) add({ start: number, rules: [], otherwise: chain[0]!.returns });
    else add({ start: number, rules: chain, otherwise });
  }
  // Newer than everything known here: libraries probe for such calls, and take ENOSYS (but not EPERM) as "use the old one".
  add({ start: highest + 1, rules: [], otherwise: RETURN_ENOSYS });
  if (arch === 'x86_64') add({ start: X32_BIT, rules: [], otherwise: RETURN_ENOSYS });
  return result;
}

function tree(parts: Segment[]): Instruction[] {
  const [first] = parts;
  if (parts.length === 1) return chain(first!);
  const middle = parts.length >> 1;
  const pivot = parts[middle]!.start;
  const left = tree(parts.slice(0, middle));
  const right = tree(parts.slice(middle));
  // Conditional jumps reach 255 instructions; further ones go over an unconditional jump.
  if (left.length <= 255) return [{ code: JGE, k: pivot, yes: left.length, no: 0 }, ...left, ...right];
  return [{ code: JGE, k: pivot, yes: 0, no: 1 }, { code: JUMP, k: left.length }, ...left, ...right];
}

function chain({ rules, otherwise }: Segment): Instruction[] {
  const instructions = rules.flatMap(ruleBlock);
  const decided = rules.at(-1)?.conditions.length === 0;
  return decided ? instructions : [...instructions, { code: RETURN, k: otherwise }];
}

function ruleBlock({ conditions, returns }: Rule): Instruction[] {
  const blocks = conditions.map(compare);
  const length = blocks.reduce((sum, block) => sum + block.length, 0) + 1;
  let at = 0;
  const placed = blocks.flatMap((block) => {
    const end = at + block.length;
    const resolve = (target: Target | undefined, here: number): number =>
      target === 'pass' ? end - here - 1 : target === 'fail' ? length - here - 1 : (target ?? 0);
    return block.map((instruction): Instruction => {
      const here = at++;
      return { ...instruction, yes: resolve(instruction.yes, here), no: resolve(instruction.no, here) };
    });
  });
  return [...placed, { code: RETURN, k: returns }];
}

/** Arguments have 64 bits, BPF has 32: the high half is compared first. */
function compare({ index, op, value, valueTwo }: Condition): Instruction[] {
  const [low, high] = halves(value);
  const loadLow = { code: LOAD, k: ARGS + 8 * index };
  const loadHigh = { code: LOAD, k: ARGS + 8 * index + 4 };
  const ordered = (code: number, yes: Target, no: Target): Instruction[] => [
    loadHigh,
    { code: JGT, k: high, yes, no: 0 },
    { code: JEQ, k: high, yes: 0, no },
    loadLow,
    { code, k: low, yes, no },
  ];
  switch (op) {
    case 'SCMP_CMP_EQ':
      return [
        loadHigh,
        { code: JEQ, k: high, yes: 0, no: 'fail' },
        loadLow,
        { code: JEQ, k: low, yes: 'pass', no: 'fail' },
      ];
    case 'SCMP_CMP_NE':
      return [
        loadHigh,
        { code: JEQ, k: high, yes: 0, no: 'pass' },
        loadLow,
        { code: JEQ, k: low, yes: 'fail', no: 'pass' },
      ];
    case 'SCMP_CMP_GT':
      return ordered(JGT, 'pass', 'fail');
    case 'SCMP_CMP_GE':
      return ordered(JGE, 'pass', 'fail');
    case 'SCMP_CMP_LE':
      return ordered(JGT, 'fail', 'pass');
    case 'SCMP_CMP_LT':
      return ordered(JGE, 'fail', 'pass');
    case 'SCMP_CMP_MASKED_EQ': {
      const [wantedLow, wantedHigh] = halves(valueTwo);
      return [
        loadHigh,
        { code: AND, k: high },
        { code: JEQ, k: wantedHigh, yes: 0, no: 'fail' },
        loadLow,
        { code: AND, k: low },
        { code: JEQ, k: wantedLow, yes: 'pass', no: 'fail' },
      ];
    }
  }
}

function halves(value: bigint): [low: number, high: number] {
  return [Number(value & 0xffff_ffffn), Number(value >> 32n)];
}

function assemble(instructions: Instruction[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(instructions.length * 8));
  instructions.forEach(({ code, k, yes, no }, i) => {
    bytes.setUint16(i * 8, code, true);
    bytes.setUint8(i * 8 + 2, yes as number);
    bytes.setUint8(i * 8 + 3, no as number);
    bytes.setUint32(i * 8 + 4, k >>> 0, true);
  });
  return new Uint8Array(bytes.buffer);
}
