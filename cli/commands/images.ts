import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { type Command, Option } from 'commander';
import { Agent } from '../../controllers/machinery/client/resources.ts';
import type { ImageProgress, PruneReport, StoredImage } from '../../runtime/images/index.ts';
import { type AgentEndpoint, agentEndpoint } from '../agent-endpoint.ts';
import { type ConnectionOptions, connect, tokenOf, withConnection } from '../connection.ts';
import { describeError } from '../describe-error.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';
import { formatBytes } from '../format.ts';
import { showPull } from '../pull-progress.ts';
import { table } from '../table.ts';

interface ImagesOptions extends ConnectionOptions {
  agent?: string;
  output: 'table' | 'json';
}

interface PullOptions extends ImagesOptions {
  policy: string;
  credentials?: string;
}

interface Row extends StoredImage {
  agent: string;
}

/** `tepui images`: the images that agents have on their disks. */
export function addImagesCommand(program: Command): void {
  const images = program.command('images').description('show and manage the images on an agent');
  addList(images);
  addPull(images);
  addRemove(images);
  addPrune(images);
}

function addList(images: Command): void {
  withAgent(images.command('ls').alias('list').description('show the images on the agents')).action(
    async (options: ImagesOptions) => {
      const rows: Row[] = [];
      for (const { name, endpoint } of await agents(options)) {
        try {
          const { items } = await json<{ items: StoredImage[] }>(await endpoint.get('/images'));
          rows.push(...items.map((item) => ({ agent: name, ...item })));
        } catch (error) {
          // What the other agents have is worth showing.
          process.stderr.write(`tepui: agent ${name}: ${describeError(error)}\n`);
          process.exitCode = EXIT_CODES.unreachable.code;
        }
      }
      process.stdout.write(options.output === 'json' ? `${JSON.stringify(rows, null, 2)}\n` : listTable(rows));
    },
  );
}

function addPull(images: Command): void {
  withAgent(images.command('pull').description('pull an image to an agent').argument('<image>', 'as in a container'))
    .addOption(
      new Option('--policy <policy>', 'when to ask the registry').choices(['Always', 'IfNotPresent']).default('Always'),
    )
    .option('--credentials <file>', "logins as in Docker's config.json, besides those that the agent has")
    .action(async (reference: string, options: PullOptions) => {
      const { endpoint } = await oneAgent(options);
      const dockerConfig = options.credentials === undefined ? undefined : await readText(options.credentials);
      const response = await endpoint.send('POST', '/images/pull', {
        reference,
        pullPolicy: options.policy,
        ...(dockerConfig !== undefined && { dockerConfig }),
      });
      const image = await followPull(response, options.output === 'json');
      if (options.output === 'json') process.stdout.write(`${JSON.stringify(image, null, 2)}\n`);
      else process.stdout.write(`${image.reference} ${image.digest} (${formatBytes(image.sizeBytes)})\n`);
    });
}

function addRemove(images: Command): void {
  withAgent(
    images
      .command('rm')
      .alias('remove')
      .description('remove images that no container uses')
      .argument('<image...>', 'names as `ls` shows them'),
  ).action(async (references: string[], options: ImagesOptions) => {
    const { endpoint } = await oneAgent(options);
    const reports: PruneReport[] = [];
    for (const reference of references)
      reports.push(await json(await endpoint.send('DELETE', `/images?reference=${encodeURIComponent(reference)}`)));
    showRemoved(
      {
        removed: reports.flatMap(({ removed }) => removed),
        freedBytes: reports.reduce((sum, { freedBytes }) => sum + freedBytes, 0),
      },
      options,
    );
  });
}

function addPrune(images: Command): void {
  withAgent(
    images
      .command('prune')
      .description('remove all images that no container uses, but those that registries.yaml excludes'),
  ).action(async (options: ImagesOptions) => {
    const { endpoint } = await oneAgent(options);
    showRemoved(await json<PruneReport>(await endpoint.send('POST', '/images/prune')), options);
  });
}

function withAgent(command: Command): Command {
  return withConnection(command)
    .option('--agent <name>', 'the agent (default: the only one; `ls`: all of them)')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['table', 'json']).default('table'));
}

async function agents(options: ImagesOptions): Promise<{ name: string; endpoint: AgentEndpoint }[]> {
  const client = await connect(options);
  const token = await tokenOf(options);
  const names =
    options.agent === undefined
      ? (await client.list(Agent, {})).items.flatMap(({ metadata }) => metadata?.name ?? [])
      : [options.agent];
  return Promise.all(names.map(async (name) => ({ name, endpoint: await agentEndpoint(client, name, token) })));
}

async function oneAgent(options: ImagesOptions): Promise<{ name: string; endpoint: AgentEndpoint }> {
  const found = await agents(options);
  const [only] = found;
  if (only === undefined) throw new CliError('there is no agent', EXIT_CODES.notFound.code);
  if (found.length > 1)
    throw new CliError(
      `there are several agents; name one of ${found.map(({ name }) => name).join(', ')} with --agent`,
      EXIT_CODES.usage.code,
    );
  return only;
}

type PullLine = { progress?: ImageProgress; image?: StoredImage; error?: { message: string; notFound?: boolean } };

async function followPull(response: IncomingMessage, isQuiet: boolean): Promise<StoredImage> {
  const progress = showPull(process.stderr, isQuiet);
  let rest = '';
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      const lines = (rest + (chunk as string)).split('\n');
      rest = lines.pop() ?? '';
      for (const text of lines) {
        const line = JSON.parse(text) as PullLine;
        if (line.image) return line.image;
        if (line.error)
          throw new CliError(line.error.message, (line.error.notFound ? EXIT_CODES.notFound : EXIT_CODES.failed).code);
        if (line.progress) progress.show(line.progress);
      }
    }
  } finally {
    progress.end();
  }
  throw new CliError('the agent ended the connection before the image was there', EXIT_CODES.unreachable.code);
}

function showRemoved({ removed, freedBytes }: PruneReport, { output }: ImagesOptions): void {
  if (output === 'json') process.stdout.write(`${JSON.stringify({ removed, freedBytes }, null, 2)}\n`);
  else {
    for (const name of removed) process.stdout.write(`removed ${name}\n`);
    process.stdout.write(`freed ${formatBytes(freedBytes)}\n`);
  }
}

function listTable(rows: Row[]): string {
  return table(
    ['AGENT', 'IMAGE', 'DIGEST', 'LAYERS', 'SIZE', 'USED BY', 'LAST USED'],
    rows.map((row) => [
      row.agent,
      row.reference,
      row.digest.slice(0, 'sha256:'.length + 12),
      String(row.layers),
      formatBytes(row.sizeBytes),
      String(row.holders.length),
      row.lastUsedAt,
    ]),
  );
}

async function json<T>(response: IncomingMessage): Promise<T> {
  return JSON.parse(Buffer.concat(await response.toArray()).toString()) as T;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new CliError(`--credentials: ${(cause as Error).message}`, EXIT_CODES.usage.code, { cause });
  }
}
