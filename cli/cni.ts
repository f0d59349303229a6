/** Options of the commands that start an agent: where CNI networks come from. */
import { isAbsolute, resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { AgentOptions } from '../runtime/agent/index.ts';
import { DEFAULT_PLUGIN_PATH } from '../runtime/network/default-plugin-path.ts';

export interface CniOptions {
  cniConfigDir?: string;
  cniPluginPath?: string;
}

export function withCni(command: Command): Command {
  return command
    .option(
      '--cni-config-dir <dir>',
      'directory of CNI network configurations, read anew for each task (default: agent/cni/net.d in the data directory)',
      (directory: string) => resolve(directory),
    )
    .option(
      '--cni-plugin-path <dirs>',
      `directories of CNI plug-ins, separated by colons (default: $CNI_PATH, else ${DEFAULT_PLUGIN_PATH})`,
      parsePluginPath,
    );
}

export function cniAgentOptions({ cniConfigDir, cniPluginPath }: CniOptions): AgentOptions {
  return {
    ...(cniConfigDir && { cniConfigDirectory: cniConfigDir }),
    ...(cniPluginPath && { cniPluginPath }),
  };
}

/** What runs as root is not looked for relative to where the command happens to be called. */
function parsePluginPath(text: string): string {
  const relative = text.split(':').find((directory) => !isAbsolute(directory));
  if (relative !== undefined) throw new InvalidArgumentError(`"${relative}" is not an absolute path.`);
  return text;
}
