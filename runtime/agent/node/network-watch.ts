/** Notices when the operator adds, changes or removes CNI networks: tasks may join them at once, and the scheduler has to know of them. */
import { type FSWatcher, watch } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '../../../controllers/machinery/logger.ts';
import type { AgentNetwork } from '../../../crds/types.generated.ts';
import type { Containerizer } from '../../containerizers/containerizer.ts';
import type { NetworkDescription, Networks } from '../../network/index.ts';

/** A file that is being written changes several times. */
const SETTLE_MS = 200;
/** Plug-ins may be installed without a change of the directory. */
const LOOK_AGAIN_MS = 60_000;

/** Where the description comes from. */
export interface NetworkSource {
  describe(): Promise<NetworkDescription>;
  /** Changes in it are seen at once. */
  configDirectory: string;
}

/** The agent's CNI networks, then those that its containerizers have of their own; of two with one name the first. */
export function networkSource(networks: Networks, containerizer: Containerizer): NetworkSource {
  return {
    configDirectory: networks.configDirectory,
    async describe() {
      const { networks: own, problems } = await networks.describe();
      const others = (await containerizer.networks?.()) ?? [];
      const names = new Set(own.map(({ name }) => name));
      return { networks: [...own, ...others.filter(({ name }) => !names.has(name))], problems };
    },
  };
}

export interface NetworkWatch {
  /** There may be other networks now. */
  lookAgain(): void;
  close(): void;
}

export interface NetworkWatchOptions {
  source: NetworkSource;
  /** What the caller knows already. */
  known: AgentNetwork[];
  /** Called with what there is when that has become something else; not before this function has returned. */
  onChange(networks: AgentNetwork[]): void;
  logger: Logger;
}

export function watchNetworks({ source, known, onChange, logger }: NetworkWatchOptions): NetworkWatch {
  let current: NetworkDescription = { networks: known, problems: [] };
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const look = async (): Promise<void> => {
    try {
      const found = await source.describe();
      if (closed) return;
      const before = current;
      current = found;
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
  const watcher = tryWatch(source.configDirectory, () => lookIn(SETTLE_MS));
  lookIn(SETTLE_MS);
  return {
    lookAgain: () => lookIn(SETTLE_MS),
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
