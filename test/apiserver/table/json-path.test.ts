import { describe, expect, test } from '@jest/globals';
import { parseJsonPath } from '../../../apiserver/table/json-path.ts';

const document = {
  spec: {
    replicas: 3,
    ports: [
      { name: 'a', number: 1 },
      { name: 'b', number: 2 },
    ],
    'dotted.key': 'x',
  },
  metadata: { labels: { 'app.kubernetes.io/name': 'web' } },
  status: {
    conditions: [
      { type: 'Ready', status: 'True' },
      { type: 'Stalled', status: 'False' },
    ],
    none: null,
  },
};

describe('a JSON path', () => {
  test.each([
    ['.spec.replicas', [3]],
    ['{.spec.replicas}', [3]],
    ['.spec.absent.deeper', []],
    ['.spec.ports[*].name', ['a', 'b']],
    ['.spec.ports[0].name', ['a']],
    ['.spec.ports[-1].name', ['b']],
    ['.spec.ports[-1:].name', ['b']],
    ['.spec.ports[0:1].name', ['a']],
    ['.spec.ports[7].name', []],
    ["['spec']['dotted.key']", ['x']],
    ['.spec.dotted\\.key', ['x']],
    ['.metadata.labels.app\\.kubernetes\\.io/name', ['web']],
    ['.status.conditions[?(@.type=="Ready")].status', ['True']],
    ["$.status.conditions[?(@.type=='Stalled')].status", ['False']],
    ['.status.conditions[?(@.type=="Absent")].status', []],
    ['.spec.ports[?(@.number>1)].name', ['b']],
    ['.spec.ports[?(@.number<=1)].name', ['a']],
    ['.spec.ports[?(@.name)].number', [1, 2]],
    ['..number', [1, 2]],
    ['.status.none', [null]],
    ['.', [document]],
  ])('%s selects %j', (text, selected) => {
    expect(parseJsonPath(text).find(document)).toEqual(selected);
  });

  test.each(['.a[', '.a[?(@.b==)]', '.a[x]', ".a['b]", '.a..', 'a b'])('%s is refused with the place', (text) => {
    expect(() => parseJsonPath(text)).toThrow(/at position \d+ of/);
  });
});
