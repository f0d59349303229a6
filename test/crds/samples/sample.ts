/** Documents with the errors that they must get: paths exactly, messages as a part. */

export interface Sample {
  what: string;
  document: Record<string, unknown>;
  old?: Record<string, unknown>;
  /** [path, part of the message]; none for a good document. */
  errors: [path: string, part: string][];
}

/** Documents that are good as they are. */
export const head = (kind: string, name = 'a') => ({ apiVersion: 'tepui.dev/v1alpha1', kind, metadata: { name } });

export const task = (spec: object = {}, container: object = {}) => ({
  ...head('Task'),
  spec: { containers: [{ name: 'main', shell: 'true', ...container }], ...spec },
});
export const framework = (spec: object = {}) => ({
  ...head('Framework'),
  spec: { template: { spec: { containers: [{ name: 'main', command: ['sleep', '1'] }] } }, ...spec },
});
export const volume = (spec: object = {}) => ({ ...head('Volume'), spec: { size: '1Gi', ...spec } });
export const agent = (spec: object = {}) => ({ ...head('Agent'), spec });
export const role = (spec: object = {}) => ({ ...head('FrameworkRole'), spec });
