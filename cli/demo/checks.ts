/** The demo's list of claims: each is checked once, printed as it happens, and shown again in the table at the end. */
export class Checks {
  readonly #rows: { claim: string; held: boolean; detail: string }[] = [];
  readonly #out: NodeJS.WritableStream;

  constructor(out: NodeJS.WritableStream) {
    this.#out = out;
  }

  section(title: string): void {
    this.#out.write(`\n${title}\n`);
  }

  say(text: string): void {
    this.#out.write(`    ${text}\n`);
  }

  /** Records whether a claim held. The demo goes on either way, so that the table shows everything that went wrong. */
  check(claim: string, held: boolean, detail = ''): void {
    this.#rows.push({ claim, held, detail });
    this.#out.write(`  ${held ? '✔' : '✘'} ${claim}${detail ? ` (${detail})` : ''}\n`);
  }

  allHeld(): boolean {
    return this.#rows.length > 0 && this.#rows.every((row) => row.held);
  }

  printTable(): void {
    const width = Math.max(...this.#rows.map((row) => row.claim.length), 5);
    this.#out.write(`\n${'CHECK'.padEnd(width)}  HELD  DETAIL\n`);
    for (const { claim, held, detail } of this.#rows)
      this.#out.write(`${claim.padEnd(width)}  ${held ? 'yes ' : 'NO  '}  ${detail}\n`);
  }
}
