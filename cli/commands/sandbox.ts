import { mkdir } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import type { SandboxEntry, SandboxListing } from '../../runtime/agent/sandbox/browse.ts';
import { type AgentEndpoint, agentEndpoint } from '../agent-endpoint.ts';
import { type ConnectionOptions, connect, tokenOf, withConnection } from '../connection.ts';
import { formatTable } from '../format.ts';
import { parseInteger } from '../numbers.ts';
import { extractTar } from '../tar/extract.ts';
import { writeNewFile } from '../tar/new-file.ts';
import { placedTask } from '../task-of.ts';

interface SandboxOptions extends ConnectionOptions {
  namespace: string;
  container?: string;
  output?: string;
  tail?: number;
}

/** `tepui sandbox ls|cat|get TASK [PATH]`: the files of a task, also after it has ended. */
export function addSandboxCommand(program: Command): void {
  const group = program.command('sandbox').description('look at the files of a task, also when it has ended');
  const add = (name: string, description: string, path: '<path>' | '[path]') =>
    withConnection(
      group
        .command(name)
        .description(description)
        .argument('<task>', 'name of the task')
        .argument(path, path === '<path>' ? 'path in the sandbox' : 'path in the sandbox (default: all of it)'),
    )
      .option('-n, --namespace <namespace>', 'namespace of the task', 'default')
      .option('-c, --container <name>', 'container of the task (default: its first)');

  add('ls', 'list a directory of the sandbox', '[path]')
    .option('-o, --output <format>', 'table or json', 'table')
    .action(async (name: string, path: string | undefined, options: SandboxOptions) => {
      const open = await sandboxOf(name, options);
      const listing = JSON.parse(await textOf(await open('browse', path ?? ''))) as SandboxListing;
      process.stdout.write(options.output === 'json' ? `${JSON.stringify(listing, null, 2)}\n` : tableOf(listing));
      if (listing.truncated) process.stderr.write('tepui: there are more\n');
    });
  add('cat', 'print a file of the sandbox', '<path>')
    .option('--tail <bytes>', 'only the last bytes', parseInteger(0))
    .action(async (name: string, path: string, options: SandboxOptions) => {
      const open = await sandboxOf(name, options);
      if (options.tail === undefined)
        return pipeline(await open('download', path, { file: 'true' }), process.stdout, { end: false });
      const { headers } = (await open('read', path, { offset: '-1' })).resume();
      let offset = Math.max(0, Number(headers['x-tepui-size']) - options.tail);
      for (;;) {
        const part = Buffer.concat(await (await open('read', path, { offset: String(offset) })).toArray());
        if (part.length === 0) return;
        process.stdout.write(part);
        offset += part.length;
      }
    });
  add('get', 'download a file or a directory of the sandbox', '[path]')
    .argument('[destination]', 'where to put it (default: its name, here); - for standard output, a directory as tar')
    .action(
      async (name: string, path: string | undefined, destination: string | undefined, options: SandboxOptions) => {
        const open = await sandboxOf(name, options);
        const response = await open('download', path ?? '');
        const isDirectory = response.headers['content-type'] === 'application/x-tar';
        if (destination === '-') return pipeline(response, process.stdout, { end: false });
        const target = resolve(destination ?? (basename(path ?? '') || name));
        if (!isDirectory) return writeNewFile(target, response);
        await mkdir(target, { recursive: true });
        await extractTar(response, target);
      },
    );
}

type Open = (
  action: 'browse' | 'read' | 'download',
  path: string,
  query?: Record<string, string>,
) => ReturnType<AgentEndpoint['get']>;

async function sandboxOf(name: string, options: SandboxOptions): Promise<Open> {
  const client = await connect(options);
  const { agent } = await placedTask(client, options.namespace, name);
  const endpoint = await agentEndpoint(client, agent, await tokenOf(options));
  return (action, path, extra = {}) => {
    const query = new URLSearchParams({ path, ...extra, ...(options.container && { container: options.container }) });
    return endpoint.get(`/sandbox/${action}/${options.namespace}/${name}?${query}`);
  };
}

async function textOf(response: Awaited<ReturnType<AgentEndpoint['get']>>): Promise<string> {
  return Buffer.concat(await response.toArray()).toString();
}

const TYPE_LETTER = { file: '-', directory: 'd', symlink: 'l', other: '?' };

function tableOf({ entries }: SandboxListing): string {
  const rows = entries.map((entry) => [
    modeText(entry),
    `${entry.uid}:${entry.gid}`,
    String(entry.size),
    entry.modifiedAt.replace('T', ' ').replace(/\.\d+Z$/, ''),
    entry.target === undefined ? entry.name : `${entry.name} -> ${entry.target}`,
  ]);
  return formatTable(['MODE', 'OWNER', 'SIZE', 'MODIFIED (UTC)', 'NAME'], rows);
}

function modeText({ type, mode }: SandboxEntry): string {
  const letters = ['r', 'w', 'x'];
  const bits = Array.from({ length: 9 }, (_, bit) => (mode & (0o400 >> bit) ? letters[bit % 3] : '-'));
  return `${TYPE_LETTER[type]}${bits.join('')}`;
}
