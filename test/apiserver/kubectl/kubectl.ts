import { execFile, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestServer, type TestServer } from '../server-fixture.ts';

/** The kubectl that is tested with; another than that on PATH by $KUBECTL. */
const binary = process.env.KUBECTL ?? 'kubectl';

export interface Output {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  input?: string;
  env?: Record<string, string>;
}

export interface KubectlServer {
  api: TestServer;
  /** Runs kubectl; a failure is an answer too. */
  run(args: string[], options?: RunOptions): Promise<Output>;
  /** Runs kubectl, which must succeed; its output without the last line break. */
  ok(args: string[], options?: RunOptions): Promise<string>;
  /** Runs kubectl until `enough` of its output; then ends it. */
  follow(args: string[], enough: (stdout: string) => boolean): { output: Promise<string>; started: Promise<void> };
  close(): Promise<void>;
}

/** A real server and the real kubectl, whose caches lie in a directory that goes at the end. */
export async function startKubectlServer(): Promise<KubectlServer> {
  const api = await startTestServer();
  const home = mkdtempSync(join(tmpdir(), 'tepui-kubectl-'));
  const env = { ...process.env, HOME: home, KUBECONFIG: api.server.kubeconfigPath, KUBECACHEDIR: home, TMPDIR: home };
  const run: KubectlServer['run'] = (args, options = {}) =>
    new Promise((resolve) => {
      const child = execFile(
        binary,
        args,
        { env: { ...env, ...options.env }, maxBuffer: 64 * 1024 * 1024 },
        (error, stdout, stderr) =>
          resolve({ code: error ? (typeof error.code === 'number' ? error.code : 1) : 0, stdout, stderr }),
      );
      child.stdin!.end(options.input ?? '');
    });
  return {
    api,
    run,
    async ok(args, options) {
      const { code, stdout, stderr } = await run(args, options);
      if (code !== 0) throw new Error(`kubectl ${args.join(' ')} ended with ${code}: ${stderr || stdout}`);
      return stdout.trimEnd();
    },
    follow(args, enough) {
      const child = spawn(binary, args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
      let stdout = '';
      let begin: () => void;
      const started = new Promise<void>((resolve) => {
        begin = resolve;
      });
      const output = new Promise<string>((resolve) => {
        child.stdout.on('data', (chunk: Buffer) => {
          stdout += chunk.toString();
          begin();
          if (enough(stdout)) child.kill();
        });
        child.on('close', () => resolve(stdout));
      });
      return { output, started };
    },
    async close() {
      await api.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** The minor version of the client: some verbs came later than the oldest one we support. */
export function clientMinor(): number {
  const text = execFileSync(binary, ['version', '--client', '-o', 'json'], { encoding: 'utf8' });
  return Number.parseInt((JSON.parse(text) as { clientVersion: { minor: string } }).clientVersion.minor, 10);
}
