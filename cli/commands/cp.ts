import { lstat, stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { type AgentEndpoint, agentEndpoint } from '../agent-endpoint.ts';
import { type ConnectionOptions, connect, tokenOf, withConnection } from '../connection.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import { formatBytes, printable } from '../format.ts';
import { createTar } from '../tar/create.ts';
import { extractTar } from '../tar/extract.ts';
import { runningTask } from '../task-of.ts';

interface CopyOptions extends ConnectionOptions {
  namespace: string;
  container?: string;
  quiet?: boolean;
}

/** `tepui cp TASK:PATH LOCAL` and `tepui cp LOCAL TASK:PATH`: files and directories, with modes and times. */
export function addCpCommand(program: Command): void {
  withConnection(
    program
      .command('cp')
      .description('copy files and directories out of or into a running task')
      .argument('<from>', 'PATH here, or TASK:PATH; - for a tar archive on standard input')
      .argument('<to>', 'TASK:PATH, or PATH here; - for a tar archive on standard output'),
  )
    .option('-n, --namespace <namespace>', 'namespace of the task', 'default')
    .option('-c, --container <name>', 'container of the task (default: its first)')
    .option('-q, --quiet', 'do not show progress')
    .addHelpText(
      'after',
      '\nA path that is a directory gets the copy into it; otherwise it is the new name. Paths in the task are relative to its working directory.\nNeeds no program in the container. Links are copied as links and never followed; those that lead out of a copy to this machine are left out.',
    )
    .action(async (from: string, to: string, options: CopyOptions) => {
      const [source, target] = [placeOf(from), placeOf(to)];
      if ((source.task === undefined) === (target.task === undefined))
        throw new CliError('one of the two must be TASK:PATH, and the other a path here', EXIT_CODES.usage.code);
      const name = (source.task ?? target.task)!;
      const client = await connect(options);
      const { agent } = await runningTask(client, options.namespace, name);
      const endpoint = await agentEndpoint(client, agent, await tokenOf(options));
      const request = (path: string, base: string) => {
        const query = new URLSearchParams({
          path,
          name: base,
          ...(options.container && { container: options.container }),
        });
        return `/files/${options.namespace}/${name}?${query}`;
      };
      if (source.task !== undefined) await copyOut(endpoint, request, source.path, target.path, options);
      else await copyIn(endpoint, request, source.path, target.path, options);
    });
}

/** `TASK:PATH`, unless what is before the colon can be no name of a task: then it is a path here. */
export function placeOf(text: string): { task?: string; path: string } {
  const [, task, path] = /^([a-z0-9](?:[-a-z0-9.]*[a-z0-9])?):(.*)$/s.exec(text) ?? [];
  if (task === undefined || path === undefined) return { path: text };
  return { task, path: path === '' ? '.' : path };
}

type RequestPath = (path: string, name: string) => string;

async function copyOut(
  endpoint: AgentEndpoint,
  request: RequestPath,
  path: string,
  local: string,
  options: CopyOptions,
): Promise<void> {
  const name = baseOf(path);
  const response = await endpoint.get(request(path, name));
  const leftOut: string[] = [];
  if (local === '-') await pipeline(response, process.stdout, { end: false });
  else {
    const target = resolve(local);
    const isDirectory = (await stat(target).catch(() => undefined))?.isDirectory() === true;
    const directory = isDirectory ? target : dirname(target);
    if (!isDirectory && !(await stat(directory).catch(() => undefined))?.isDirectory()) {
      response.destroy();
      throw new CliError(`${directory} is no directory`);
    }
    const progress = startProgress(options);
    const extracted = await extractTar(response, directory, {
      rename: isDirectory ? name : basename(target),
      onProgress: progress.show,
    }).finally(progress.end);
    if (!response.complete) throw new CliError('the agent broke the copy off; what is here is not all');
    leftOut.push(...extracted.leftOut);
  }
  const trailer = response.trailers['x-tepui-left-out'];
  if (trailer) leftOut.push(...decodeURIComponent(trailer).split('\n'));
  tellLeftOut(leftOut);
}

async function copyIn(
  endpoint: AgentEndpoint,
  request: RequestPath,
  local: string,
  path: string,
  options: CopyOptions,
): Promise<void> {
  const leftOut: string[] = [];
  const answered = async (answer: Awaited<ReturnType<AgentEndpoint['put']>>) => {
    const { leftOut: text } = JSON.parse(Buffer.concat(await answer.toArray()).toString()) as { leftOut: string };
    if (text) leftOut.push(...text.split('\n'));
  };
  if (local === '-') await answered(await endpoint.put(request(path, '.'), process.stdin));
  else {
    const source = resolve(local);
    await lstat(source).catch(() => {
      throw new CliError(`${local} does not exist`);
    });
    const name = baseOf(source);
    const { archive, leftOut: ours } = createTar(source, name);
    const progress = startProgress(options);
    const body = Readable.from(counted(archive as unknown as AsyncIterable<Buffer>, progress.show));
    await answered(await endpoint.put(request(path, name), body).finally(progress.end));
    leftOut.push(...ours);
  }
  tellLeftOut(leftOut);
}

async function* counted(archive: AsyncIterable<Buffer>, onBytes: (bytes: number) => void): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of archive) {
    bytes += chunk.length;
    onBytes(bytes);
    yield chunk;
  }
}

/** The name of what is copied; for `/`, `.` and `..` there is none of use. */
function baseOf(path: string): string {
  const name = basename(resolve('/', path));
  return name === '' || path.endsWith('..') ? 'files' : name;
}

function tellLeftOut(leftOut: string[]): void {
  for (const line of leftOut) process.stderr.write(`tepui: left out: ${printable(line)}\n`);
  if (leftOut.length > 0) process.exitCode = EXIT_CODES.failed.code;
}

/** Only to a person, and only when it takes some time. */
function startProgress({ quiet }: CopyOptions): { show(bytes: number): void; end(): void } {
  const isShown = !quiet && process.stderr.isTTY === true;
  const startedMs = Date.now();
  let lastMs = startedMs + 500;
  let wasShown = false;
  return {
    show(bytes) {
      const now = Date.now();
      if (!isShown || now - lastMs < 200) return;
      lastMs = now;
      wasShown = true;
      const rate = bytes / ((now - startedMs) / 1000);
      process.stderr.write(`\r\x1b[K${formatBytes(bytes)} at ${formatBytes(Math.round(rate))}/s`);
    },
    end() {
      if (wasShown) process.stderr.write('\r\x1b[K');
    },
  };
}
