import type { Command } from 'commander';
import { addAgentCommand } from './agent.ts';
import { addAttachCommand } from './attach.ts';
import { addCompletionCommand } from './completion.ts';
import { addControllerCommand } from './controller.ts';
import { addCpCommand } from './cp.ts';
import { addDownCommand } from './down.ts';
import { addExecCommand } from './exec.ts';
import { addImagesCommand } from './images.ts';
import { addKubeconfigCommand } from './kubeconfig.ts';
import { addLogsCommand } from './logs.ts';
import { addPortForwardCommand } from './port-forward.ts';
import { addRunCommand } from './run.ts';
import { addSandboxCommand } from './sandbox.ts';
import { addServerCommand } from './server.ts';
import { addStatsCommand } from './stats.ts';
import { addSteerCommands } from './steer.ts';
import { addUpCommand } from './up.ts';
import { addUpdateCommand } from './update.ts';
import { addValidateCommand } from './validate.ts';
import { addWhyCommand } from './why.ts';

/** Every command, in the order of the help text: first what runs a system, then what uses one. */
export function addCommands(program: Command): void {
  program.commandsGroup('Run a system:');
  addUpCommand(program);
  addServerCommand(program);
  addControllerCommand(program);
  addAgentCommand(program);
  addDownCommand(program);
  program.commandsGroup('Use a system:');
  addRunCommand(program);
  addLogsCommand(program);
  addExecCommand(program);
  addAttachCommand(program);
  addPortForwardCommand(program);
  addCpCommand(program);
  addSandboxCommand(program);
  addStatsCommand(program);
  addImagesCommand(program);
  addSteerCommands(program);
  addUpdateCommand(program);
  addWhyCommand(program);
  addValidateCommand(program);
  addKubeconfigCommand(program);
  program.commandsGroup('Other:');
  addCompletionCommand(program);
}
