/** Labels, annotations and finalizers that the framework controller writes or reads. */

export const FRAMEWORK_LABEL = 'tepui.dev/framework';
export const REVISION_LABEL = 'tepui.dev/revision';
export const TASK_INDEX_LABEL = 'tepui.dev/task-index';
export const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by';
export const INSTANCE_LABEL = 'app.kubernetes.io/instance';
export const MANAGED_BY = 'tepui';

/** On every Task of a Job until it is counted in the Framework's status: history limits cannot remove an end that nobody counted. */
export const ACCOUNTING_FINALIZER = 'tepui.dev/job-accounting';

/** status.selector, for autoscalers and `kubectl get -l`. */
export function taskSelector(frameworkName: string): string {
  return `${FRAMEWORK_LABEL}=${frameworkName}`;
}
