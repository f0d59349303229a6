import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { loadIdentity } from '../../../../runtime/agent/node/identity.ts';

let meta: string;
beforeEach(() => {
  meta = mkdtempSync(join(tmpdir(), 'tepui-identity-'));
});
afterEach(() => rmSync(meta, { recursive: true }));

test('an agent that is killed while it writes who it is leaves nothing, and the next one is who it says', async () => {
  writeFileSync(join(meta, '.agent.json.1.1.tmp'), '{"kind":"AgentIdent');
  const first = await loadIdentity(meta, 'node-1');
  expect(readdirSync(meta)).toEqual(['agent.json']);
  writeFileSync(join(meta, '.containerizers.json.1.1.tmp'), '');
  expect(await loadIdentity(meta, undefined)).toEqual(first);
  expect(readdirSync(meta)).toEqual(['agent.json']);
});
