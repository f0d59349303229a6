import type { Command } from 'commander';
import type { AgentOptions } from '../runtime/agent/index.ts';

export interface ContainerizerOptions {
  ociRuntime?: string;
  dockerSocket?: string;
}

/** Options of the commands that start an agent. */
export function withContainerizers(command: Command): Command {
  return command
    .option('--oci-runtime <program>', 'OCI runtime of the containerizer `oci` (default: crun, runc or youki on PATH)')
    .option('--docker-socket <path>', 'socket of the containerizer `docker` (default: /var/run/docker.sock)');
}

export function containerizerAgentOptions({ ociRuntime, dockerSocket }: ContainerizerOptions): AgentOptions {
  return { ...(ociRuntime && { ociRuntime }), ...(dockerSocket && { dockerSocket }) };
}
