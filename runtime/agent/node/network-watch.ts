/** Notices when the operator adds, changes or removes CNI networks: tasks may join them at once, and the scheduler has to know of them. */
import { type FSWatcher, watch } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '../../../controllers/machinery/logger.ts';
import type { AgentNetwork } from '../../../crds/types.generated.ts';
import type { NetworkDescription, Networks } from '../../network/index.ts';

/** A file that is being written changes several times. */
const SETTLE_MS = 200;
/** Plug-ins may be installed without a change of the directory. */
const LOOK_AGAIN_MS = 60_000;

export interface NetworkWatch {
  close(): void;
}

/** `onChange` is called with what there is when that has become something else. */
export async function watchNetworks(
  networks: Pick<Networks, 'describe' | 'configDirectory'>,
  onChange: (networks: AgentNetwork[]) => void,
  logger: Logger,
): Promise<NetworkWatch> {
  let known = await networks.describe();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  warn(known, logger);
  const look = async (): Promise<void> => {
    try {
      const found = await networks.describe();
      if (closed) return;
      const before = known;
      known = found;
      if (!isDeepStrictEqual(found.problems, before.problems)) warn(found, logger);
      if (!isDeepStrictEqual(found.networks, before.networks)) onChange(found.networks);
    } catch (err) {
      logger.warn({ err }, 'the directory of network configurations could not be read');
    }
    lookIn(LOOK_AGAIN_MS);
  };
  const lookIn = (delayMs: number): void => {
    clearTimeout(timer);
    if (!closed) timer = setTimeout(look, delayMs).unref();
  };
  const watcher = tryWatch(networks.configDirectory, () => lookIn(SETTLE_MS));
  lookIn(LOOK_AGAIN_MS);
  return {
    close() {
      closed = true;
      clearTimeout(timer);
      watcher?.close();
    },
  };
}

/** Without a watch (no inotify instances left) the clock has to do. */
function tryWatch(directory: string, onEvent: () => void): FSWatcher | undefined {
  try {
    return watch(directory, { persistent: false }, onEvent).on('error', () => {});
  } catch {
    return undefined;
  }
}

function warn({ problems }: NetworkDescription, logger: Logger): void {
  for (const { path, message } of problems)
    logger.warn({ err: new Error(`${path}: ${message}`) }, 'a network configuration cannot be used');
}
