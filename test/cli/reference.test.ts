import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import type { Command } from 'commander';
import { createProgram } from '../../cli/program.ts';
import { cliReference } from '../../cli/reference/command-line.ts';
import { errorReference } from '../../cli/reference/errors.ts';
import { metricsReference } from '../../cli/reference/metrics.ts';
import { rootlessReference } from '../../cli/reference/rootless.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const sourcesIn = (pattern: string) => globSync(pattern, { cwd: root });
const read = (path: string) => readFileSync(`${root}/${path}`, 'utf8');

/** Names of actions, error classes and features: not reasons. */
// biome-ignore format: a list of words
const OTHER_WORDS = new Set([
  'CleanUp', 'MaxCompletionTime', 'DocumentGone', 'DocumentTerminal', 'ContainerFailed', 'DependencyImpossible', 'WakeAt', 'SpecApplied',
  'ConfigMap', 'OrCreate',
  'RemoveFinalizer', 'PlanAgain', 'RecordEvent', 'ReportUnplaced', 'ReportVolumeUnplaced', 'ConfirmRemoval',
  'CountTask', 'EndJob', 'SuspendJob', 'ResumeJob', 'ReplaceTask', 'RollOut', 'CreateTasks',
  'MultiRole', 'HierarchicalRole', 'TaskResourceLimits', 'AgentReachable', 'TokenReview', 'SubjectAccessReview', 'NonZeroExitCode', 'ConfigMap',
]);

/** Values that documents can have are not reasons either. */
const ENUM_VALUES = enumValues(JSON.parse(read('crds/crds.generated.json')));

function enumValues(schema: unknown): Set<unknown> {
  if (typeof schema !== 'object' || schema === null) return new Set();
  const own = (schema as { enum?: unknown }).enum;
  const below = Object.values(schema).flatMap((value) => [...enumValues(value)]);
  return new Set([...(Array.isArray(own) ? own : []), ...below]);
}

describe('pages made from the source have not drifted (npm run generate)', () => {
  test('cli.md', () => expect(read('docs/reference/cli.md')).toBe(cliReference()));
  test('metrics.md', async () => expect(read('docs/reference/metrics.md')).toBe(await metricsReference()));
  test('errors.md', () => expect(read('docs/reference/errors.md')).toBe(errorReference()));
  test('rootless.md', () => expect(read('docs/reference/rootless.md')).toBe(rootlessReference()));
});

test('every command, argument and option says what it is, and where a default is not a value, in words', () => {
  const silent: string[] = [];
  const visit = (command: Command, path: string): void => {
    if (command.description() === '') silent.push(path);
    for (const argument of command.registeredArguments)
      if (argument.description === '') silent.push(`${path} <${argument.name()}>`);
    for (const option of command.options) if (option.description === '') silent.push(`${path} ${option.flags}`);
    for (const child of command.commands) visit(child, `${path} ${child.name()}`);
  };
  visit(createProgram(), 'tepui');
  expect(silent).toEqual([]);
});

test('no metric is made outside of the registries that metrics.md is read from', () => {
  const makers = sourcesIn('{apiserver,controllers,runtime}/**/*.ts').filter((path) =>
    /^import \{[^}]*\b(Counter|Gauge|Histogram|Summary)\b[^}]*\} from 'prom-client'/m.test(read(path)),
  );
  expect(makers.sort()).toEqual([
    'apiserver/http/metrics.ts',
    'controllers/machinery/metrics/metrics.ts',
    'runtime/agent/metrics.ts',
  ]);
});

describe('errors.md has every reason of the source', () => {
  const page = read('docs/reference/errors.md');
  // The Docker Engine has names of its own for everything.
  const sources = sourcesIn('{controllers/{agent,framework,scheduler,task,volume},runtime}/**/*.ts').filter(
    (path) => !path.startsWith('runtime/containerizers/docker/'),
  );

  test.each(sources.filter((path) => reasonsIn(read(path)).length > 0))('%s', (path) => {
    expect(reasonsIn(read(path)).filter((reason) => !page.includes(`\`${reason}\``))).toEqual([]);
  });

  test('the search finds reasons in each form that the source has', () => {
    const found = new Set(sources.flatMap((path) => reasonsIn(read(path))));
    for (const reason of ['TaskInvalid', 'Signaled', 'RolloutStarted', 'AgentDraining', 'VolumeLost', 'ScaledDown'])
      expect(found).toContain(reason);
  });
});

/** CamelCase words of two parts in quotes, and single words that are written to `reason`; without those that are something else. */
function reasonsIn(source: string): string[] {
  const code = source.replace(/^\s*(\/\/|\/?\*).*$/gm, '').replace(/^import .*$/gm, '');
  const words = [
    ...code.matchAll(/(?<!\b(?:type|kind|action|apiVersion): |name = |case |cause )'([A-Z][a-z]+(?:[A-Z][a-z]+)+)'/g),
  ];
  const single = [...code.matchAll(/\breason(?::|\s*=)\s*(?:[^'{};]*\?\s*)?'([A-Z][A-Za-z]+)'/g)];
  return [...new Set([...words, ...single].map(([, word]) => word as string))].filter(
    (word) => !OTHER_WORDS.has(word) && !ENUM_VALUES.has(word),
  );
}
