/**
 * Start-up: puts together what is on disk (records), what runs (the launcher's list) and what the caller expects, and removes the rest.
 * A container is only taken for running if the launcher supervises it, and pids never decide alone: the launcher compares start times.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { prefixOf } from '../../cgroups/paths.ts';
import type { ContainerSpec } from '../../isolators/isolator.ts';
import type { Launcher, ListedContainer } from '../../launcher/client.ts';
import type { ExitRecord } from '../../launcher/operations.ts';
import type { Containerizer } from '../containerizer.ts';
import { type Container, endContainer, newContainer } from './container.ts';
import type { NativeContext } from './context.ts';
import { destroyContainer } from './destroy.ts';
import { containerExited, terminationFrom } from './exits.ts';
import { destroyGroup, isPause, listGroups, pauseIdOf } from './group.ts';
import { endLostGroups } from './group-lost.ts';
import { startTime } from './start-time.ts';
import { lostTermination, terminationOf } from './termination.ts';

const launchAttempts = 100;
const launchPauseMs = 20;
const secondLooks = 3;
const secondLookPauseMs = 250;

type Recovered = Awaited<ReturnType<Containerizer['recover']>>;

export async function recoverContainers(context: NativeContext, expected: string[]): Promise<Recovered> {
  const { launcher } = context;
  // What ends after the list was made and before its container is known here is told only once.
  const early = new Map<string, ExitRecord>();
  const note = (record: ExitRecord) => early.set(record.containerId, record);
  launcher.on('exit', note);
  try {
    return await takeStock(context, expected, early);
  } finally {
    launcher.off('exit', note);
  }
}

async function takeStock(
  context: NativeContext,
  expected: string[],
  early: ReadonlyMap<string, ExitRecord>,
): Promise<Recovered> {
  const { records, launcher, cgroups, containers } = context;
  let running = byId(await settledList(launcher));
  // A launch that was cut may still come: what the earlier agent had sent is carried out, however busy the machine is.
  const mayCome = () => expected.some((id) => !running.has(id) && records.readLaunch(id) && !records.readExit(id));
  for (let look = 0; look < secondLooks && mayCome(); look++) {
    await delay(secondLookPauseMs);
    running = byId(await settledList(launcher));
  }
  const noteExit = (containerId: string) => {
    const exit = early.get(containerId) ?? records.readExit(containerId);
    if (exit) containerExited(context, exit);
  };
  const recovered: Recovered = [];
  const left = context.isolators.flatMap((isolator) => isolator.list?.() ?? []);
  const orphans = new Set([...running.keys(), ...cgroups.list(), ...left]);
  // What the containers of a group share stays as long as one of them is expected.
  const groups = new Set(expected.map((id) => prefixOf(id) ?? id));
  const wanted = new Set([...expected, ...[...groups].map(pauseIdOf)]);
  for (const containerId of records.list()) {
    if (!wanted.has(containerId)) {
      orphans.add(containerId);
      continue;
    }
    orphans.delete(containerId);
    const container = takeBack(context, containerId, running.get(containerId));
    if (!container) {
      orphans.add(containerId);
      continue;
    }
    noteExit(containerId);
    if (isPause(containerId)) continue;
    const { ended, launched } = container;
    recovered.push({ containerId, running: !ended, ...(launched && !ended && { launched }) });
  }
  const known = [...containers.values()].flatMap(({ spec, ended }) => (spec && !ended ? [spec] : []));
  for (const isolator of context.isolators) isolator.recover?.(known);
  const removals = [...orphans].map((containerId) => {
    const entry = running.get(containerId);
    if (entry && entry.state !== 'exited') {
      launcher.track(containerId, records.exitPath(containerId));
      containers.set(containerId, runningContainer(entry));
      noteExit(containerId);
    }
    return context.orphans.remove(containerId, () => destroyContainer(context, containerId));
  });
  await Promise.all(removals);
  endLostGroups(context);
  for (const groupId of await listGroups(context))
    if (!groups.has(groupId)) await context.orphans.remove(groupId, () => destroyGroup(context, groupId));
  return recovered;
}

function byId(list: ListedContainer[]): Map<string, ListedContainer> {
  return new Map(list.map((entry) => [entry.containerId, entry]));
}

/** undefined when there is nothing to tell: its record is torn, because the agent died while it wrote it, before anything was made. */
function takeBack(
  context: NativeContext,
  containerId: string,
  entry: ListedContainer | undefined,
): Container | undefined {
  const { records, containers, cgroups, launcher, limitationWatch, bootId } = context;
  const launch = records.readLaunch(containerId);
  const exit = records.readExit(containerId);
  if (!launch && !exit) return undefined;
  const isSupervised = entry !== undefined && entry.state !== 'exited';
  const container = isSupervised ? runningContainer(entry, launch?.spec) : newContainer(containerId, launch?.spec);
  if (launch?.counted) container.counted = launch.counted;
  containers.set(containerId, container);
  if (isSupervised) {
    launcher.track(containerId, records.exitPath(containerId));
    if (!isPause(containerId)) limitationWatch.add(containerId);
  } else if (launch?.bootId === bootId) {
    // Nobody supervises it: whatever of it may still run is nobody's. Its cgroups still tell why it ended.
    cgroups.kill(containerId);
    endContainer(container, terminationFrom(context, container, exit));
  } else {
    endContainer(container, exit ? terminationOf(exit) : lostTermination(containerId));
  }
  return container;
}

function runningContainer({ containerId, pid, startTimeTicks }: ListedContainer, spec?: ContainerSpec): Container {
  const container = newContainer(containerId, spec);
  container.launched = { containerId, pid, startTimeTicks, startedAt: startTime(startTimeTicks) };
  return container;
}

/** A launch that the earlier agent began may still be under way: it succeeds or fails within moments. */
async function settledList(launcher: Launcher): Promise<ListedContainer[]> {
  for (let attempt = 0; ; attempt++) {
    const list = await launcher.list();
    if (attempt === launchAttempts || list.every(({ state }) => state !== 'launching')) return list;
    await delay(launchPauseMs);
  }
}
