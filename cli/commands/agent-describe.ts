import type { Command } from 'commander';
import { Agent } from '../../controllers/machinery/client/resources.ts';
import type { Agent as AgentDocument } from '../../crds/types.generated.ts';
import { type ConnectionOptions, connect, withConnection } from '../connection.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';

interface DescribeOptions extends ConnectionOptions {
  output: 'text' | 'json';
}

/** `tepui agent describe`: what agents have, and what each of their containerizers can and cannot do. */
export function addAgentDescribeCommand(agent: Command): void {
  withConnection(
    agent
      .command('describe')
      .description('show what agents have, and what each of their containerizers refuses')
      .argument('[name]', 'only this agent'),
  )
    .option('-o, --output <format>', 'text or json', 'text')
    .action(async (name: string | undefined, own: DescribeOptions, invoked: Command) => {
      const options: DescribeOptions = { ...invoked.optsWithGlobals<DescribeOptions>(), ...own };
      const client = await connect(options);
      try {
        const { items } = await client.list(Agent);
        const agents = items.filter(({ metadata }) => name === undefined || metadata.name === name);
        if (name !== undefined && agents.length === 0)
          throw new CliError(`there is no agent "${name}"`, EXIT_CODES.notFound.code);
        const text =
          options.output === 'json'
            ? `${JSON.stringify(agents.map(facts), null, 2)}\n`
            : agents.map(describe).join('\n');
        process.stdout.write(text);
      } finally {
        await client.close();
      }
    });
}

function facts({ metadata, spec, status }: AgentDocument) {
  return {
    name: metadata.name,
    order: spec.containerizers ?? ['native'],
    platform: status?.platform,
    containerizers: status?.containerizers ?? [],
    networks: status?.networks ?? [],
    resources: status?.allocatable,
    conditions: status?.conditions ?? [],
  };
}

function describe(agent: AgentDocument): string {
  const { name, order, platform, containerizers, networks, resources, conditions } = facts(agent);
  const lines = [
    `Agent ${name}`,
    ...conditions.map(({ type, status, message }) => `  ${type}: ${status}${message ? ` (${message})` : ''}`),
    `  platform: ${platform?.kernel ?? '?'} ${platform?.architecture ?? ''}, cgroup ${platform?.cgroupVersion ?? '?'}`,
    `  features: ${platform?.features?.join(', ') || 'none'}`,
    `  resources: ${Object.entries(resources ?? {})
      .map(([key, value]) => `${key} ${typeof value === 'object' ? JSON.stringify(value) : value}`)
      .join(', ')}`,
    `  networks: ${networks.map((network) => network.name).join(', ') || 'none'}`,
    `  containerizers, asked in this order: ${order.join(', ')}`,
    ...containerizers.flatMap(({ name: own, version, isolators, unsupported }) => [
      `    ${own}${version ? ` ${version}` : ''}`,
      ...(isolators?.length ? [`      isolators: ${isolators.join(', ')}`] : []),
      `      refuses${unsupported?.length ? '' : ' nothing'}`,
      ...(unsupported ?? []).map((field) => `        ${field}`),
    ]),
  ];
  return `${lines.join('\n')}\n`;
}
