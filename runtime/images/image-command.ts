/** What a container of an image executes, by Mesos's rules for `docker/runtime`. */
import type { TaskContainer } from '../../crds/types.generated.ts';
import { ImageCommandMissing } from './errors.ts';
import type { ImageConfig } from './images.ts';

/**
 * Pure.
 *
 * | container | argv |
 * |---|---|
 * | `shell` | `/bin/sh -c SHELL`; the image's Entrypoint and Cmd are not used |
 * | `command` | `command` + `args`; likewise |
 * | `args` only | Entrypoint + `args`; without an Entrypoint the first word of Cmd + `args` |
 * | none | Entrypoint + Cmd |
 *
 * Throws ImageCommandMissing when there is nothing to execute. In Mesos arguments never replace the program, so `args` without an Entrypoint
 * keep Cmd's first word; Docker would execute the first of `args` instead.
 */
export function imageCommand(
  container: Pick<TaskContainer, 'name' | 'command' | 'args' | 'shell'>,
  config: Pick<ImageConfig, 'entrypoint' | 'cmd'>,
): string[] {
  const { command = [], args, shell } = container;
  if (shell !== undefined) return ['/bin/sh', '-c', shell];
  if (command.length > 0) return [...command, ...(args ?? [])];
  const { cmd = [] } = config;
  const entrypoint = isNone(config.entrypoint) ? [] : config.entrypoint;
  if (entrypoint.length > 0) return [...entrypoint, ...(args ?? cmd)];
  const [program, ...rest] = cmd;
  if (program === undefined)
    throw new ImageCommandMissing(
      `container ${container.name}: its image has neither Entrypoint nor Cmd; give "command" or "shell"`,
    );
  return [program, ...(args ?? rest)];
}

/** `ENTRYPOINT [""]` takes away that of a base image, as in Docker. */
function isNone(entrypoint: string[] | undefined): entrypoint is undefined {
  return entrypoint === undefined || (entrypoint.length <= 1 && !entrypoint[0]);
}
