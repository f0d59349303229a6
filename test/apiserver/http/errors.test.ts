import { describe, expect, test } from '@jest/globals';
import { ApiError, alreadyExists, conflict, errorTable, invalid, notFound } from '../../../apiserver/http/errors.ts';

const core = { group: '', plural: 'configmaps', kind: 'ConfigMap' };
const custom = { group: 'tepui.dev', plural: 'tasks', kind: 'Task' };

describe('the error table', () => {
  test('has an HTTP status, a reason and a message for every code', () => {
    const table: Record<string, { reason: string; httpStatus: number; message: string }> = errorTable;
    for (const [code, { reason, httpStatus, message }] of Object.entries(table)) {
      expect({ code, ok: httpStatus >= 400 && httpStatus < 600 && reason !== '' && message !== '' }).toEqual({
        code,
        ok: true,
      });
      expect(new ApiError(code as keyof typeof errorTable).toStatus()).toMatchObject({
        code: httpStatus,
        reason,
        message,
      });
    }
  });
});

describe('messages', () => {
  test('are those of the genuine server', () => {
    expect(notFound(custom, 'a').message).toBe('tasks.tepui.dev "a" not found');
    expect(alreadyExists(core, 'a').message).toBe('configmaps "a" already exists');
    expect(conflict(core, 'a').message).toMatch(
      /^Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply/,
    );
    const one = { field: 'spec.x', reason: 'FieldValueRequired' as const, message: 'Required value' };
    const two = { field: 'spec.y', reason: 'FieldValueInvalid' as const, message: 'Invalid value: 1: no' };
    expect(invalid(custom, 'a', [one]).message).toBe('Task.tepui.dev "a" is invalid: spec.x: Required value');
    expect(invalid(core, 'a', [one, two]).message).toBe(
      'ConfigMap "a" is invalid: [spec.x: Required value, spec.y: Invalid value: 1: no]',
    );
    expect(invalid(custom, 'a', [one]).toStatus().details).toEqual({
      name: 'a',
      group: 'tepui.dev',
      kind: 'Task',
      causes: [one],
    });
  });
});
