import { describe, expect, test } from '@jest/globals';
import { secretDefinition } from '../../../apiserver/builtin/secret.ts';
import type { KubernetesObject } from '../../../apiserver/resources/definition.ts';
import { parseFieldSelector, selectedName } from '../../../apiserver/selectors/fields.ts';

const definition = { ...secretDefinition, selectableFields: ['.type', '.spec.binding.agentName', '.spec.ready'] };
const object = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'a', namespace: 'n' },
  type: 'a,b=c',
  spec: { ready: true },
} as KubernetesObject;

describe('a field selector', () => {
  test.each([
    ['', true],
    ['metadata.name=a', true],
    ['metadata.name==a,metadata.namespace=n', true],
    ['metadata.name!=a', false],
    ['type=a\\,b\\=c', true],
    ['spec.ready=true', true],
    ['spec.binding.agentName=', true],
    ['spec.binding.agentName!=x', true],
    ['spec.binding.agentName=x', false],
  ])('%j selects the object: %s', (text, selected) => {
    expect(parseFieldSelector(text, definition)(object)).toBe(selected);
  });

  test.each([
    ['spec.foo=1', 'field label not supported: spec.foo'],
    ['=x', 'field label not supported: '],
    ['type', "invalid selector: 'type'; can't understand 'type'"],
    ['type=a=b', 'invalid field selector: unescaped character in value: 61'],
    ['type=\\q', 'invalid field selector: invalid escape sequence: \\q'],
  ])('%j is refused in the genuine words', (text, message) => {
    expect(() => parseFieldSelector(text, definition)).toThrow(message);
  });

  test('names one object when it asks for metadata.name', () => {
    expect(selectedName('type=x,metadata.name=web')).toBe('web');
    expect(selectedName('metadata.name!=web')).toBeUndefined();
    expect(selectedName(undefined)).toBeUndefined();
  });
});
