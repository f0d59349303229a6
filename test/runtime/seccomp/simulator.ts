/** Runs a classic BPF program as the kernel does, for tests. */
export interface SyscallData {
  number: number;
  arch: number;
  args: bigint[];
}

export function simulate(program: Uint8Array, { number, arch, args }: SyscallData): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, number, true);
  data.setUint32(4, arch, true);
  for (const [i, arg] of args.entries()) data.setBigUint64(16 + 8 * i, arg, true);
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength);
  let accumulator = 0;
  for (let pc = 0; pc * 8 < program.length; ) {
    const [op, yes, no, k] = [
      code.getUint16(pc * 8, true),
      code.getUint8(pc * 8 + 2),
      code.getUint8(pc * 8 + 3),
      code.getUint32(pc * 8 + 4, true),
    ];
    pc++;
    if (op === 0x06) return k;
    if (op === 0x20) accumulator = data.getUint32(k, true);
    else if (op === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (op === 0x05) pc += k;
    else if (op === 0x15) pc += accumulator === k ? yes : no;
    else if (op === 0x25) pc += accumulator > k ? yes : no;
    else if (op === 0x35) pc += accumulator >= k ? yes : no;
    else throw new Error(`unknown instruction ${op}`);
  }
  throw new Error('the program ran off its end');
}
