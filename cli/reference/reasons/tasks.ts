/** `status.reason` of a Task. */
export interface TaskReason {
  reason: string;
  states: string;
  source: 'Controller' | 'Agent' | 'Executor';
  meaning: string;
  todo: string;
}

export const taskReasons: TaskReason[] = [
  {
    reason: 'Unscheduled',
    states: 'Staging',
    source: 'Controller',
    meaning:
      'No agent can take it now. `status.placement` counts the agents per reason; see [below](#why-a-task-is-not-placed).',
    todo: '`tepui why TASK`. It is placed as soon as an agent fits.',
  },
  {
    reason: 'WaitingForVolume',
    states: 'Staging',
    source: 'Agent',
    meaning: 'Its agent has not made the directory of a volume yet, or has not heard of the volume.',
    todo: 'Nothing at first. If it stays: `kubectl describe volume`.',
  },
  {
    reason: 'Frozen',
    states: 'Staging',
    source: 'Agent',
    meaning: '`spec.desiredState` was Frozen before it was started.',
    todo: 'Set `spec.desiredState` to Running.',
  },
  {
    reason: 'WaitingForGpus',
    states: 'Staging',
    source: 'Agent',
    meaning: 'The GPUs it was counted on are still used by tasks that end.',
    todo: 'Nothing at first. If it stays: compare `kubectl get agent NAME -o yaml` (allocatable.gpus) with the CDI files of the machine.',
  },
  {
    reason: 'AgentReregistered',
    states: 'Starting, Running',
    source: 'Agent',
    meaning: 'It was Unreachable, and its agent is back with it.',
    todo: 'Nothing.',
  },
  {
    reason: 'AgentRemoved',
    states: 'Unreachable, Gone',
    source: 'Controller',
    meaning:
      'Unreachable: the lease of its agent has expired; it may still run. Gone: the Agent document was deleted and nothing is heard of the agent.',
    todo: 'Bring the agent back. If the machine will never return: set `spec.gone` of the Agent.',
  },
  {
    reason: 'AgentRemovedByOperator',
    states: 'GoneByOperator',
    source: 'Controller',
    meaning: 'An operator set `spec.gone` of its agent.',
    todo: 'Nothing; a Framework replaces it.',
  },
  {
    reason: 'AgentRestarted',
    states: 'Gone, Dropped',
    source: 'Agent',
    meaning:
      'Gone: the machine was started anew while it ran, or the data directory of the agent was replaced. Dropped: the agent was restarted in the middle of the launch.',
    todo: 'A Framework replaces it. A Task of your own: delete and create it again.',
  },
  {
    reason: 'ExecutorTerminated',
    states: 'Gone, Failed',
    source: 'Agent',
    meaning:
      'Gone: the supervisor of its container was killed, so that nobody knows how it ended; nothing of it runs any more. Failed: of a task group the process that keeps what its containers share was killed, and they were ended with it (a `restartPolicy` starts them again, with that made anew).',
    todo: 'Find out who kills processes of `tepui-launcher`: often a systemd unit without `KillMode=process`, see [Operating](../guides/operating.md#as-a-systemd-service).',
  },
  {
    reason: 'ExitCode',
    states: 'Failed',
    source: 'Executor',
    meaning: 'The command ended with an exit code other than 0, which is in `status.exitCode`.',
    todo: '`tepui logs TASK`.',
  },
  {
    reason: 'Signaled',
    states: 'Failed',
    source: 'Executor',
    meaning: 'A signal that Tepui did not send ended the command; it is in `status.signal`.',
    todo: '`tepui logs TASK`. SIGSYS or EPERM errors: [the seccomp filter](../guides/isolation.md).',
  },
  {
    reason: 'ContainerLimitation',
    states: 'Failed',
    source: 'Agent',
    meaning:
      "With the host's network it listened on a TCP port of the agent's range that it was not given (`Agent.spec.isolation.enforcePorts`). The message has the port.",
    todo: 'Declare the port in `ports` of the container, or listen on `$PORT_<NAME>`.',
  },
  {
    reason: 'ContainerLimitationMemory',
    states: 'Failed',
    source: 'Agent',
    meaning:
      'It needed more memory than `limits.mem` (default: `requests.mem`), or the machine itself had none left. The message has limit and peak.',
    todo: 'Raise `resources.limits.mem`, or look for the leak.',
  },
  {
    reason: 'ContainerLimitationDisk',
    states: 'Failed',
    source: 'Agent',
    meaning:
      'Its sandbox took more than `limits.disk` (default: `requests.disk`), or it let a Volume grow above its size, where that is measured. The message has usage and limit.',
    todo: 'Raise the limit or the size, write less, or use `diskEnforcement: File` or a file system with project quota, where writes fail instead.',
  },
  {
    reason: 'TaskHealthCheckStatusUpdated',
    states: 'Running, Killed',
    source: 'Agent',
    meaning:
      'Running: a health check has a new result, which is in `status.healthy`. Killed: a health check failed `consecutiveFailures` times, and the agent ended the task.',
    todo: 'The message has what the check found. `tepui logs TASK`.',
  },
  {
    reason: 'TaskCheckStatusUpdated',
    states: 'Running',
    source: 'Agent',
    meaning: 'The generic check has a new result, which is in `status.checkStatus`.',
    todo: 'Nothing.',
  },
  {
    reason: 'MaxCompletionTimeReached',
    states: 'Failed',
    source: 'Agent',
    meaning: 'It ran longer than `spec.maxCompletionTimeSeconds`.',
    todo: 'Raise it, or make the task quicker.',
  },
  {
    reason: 'ContainerLaunchFailed',
    states: 'Failed',
    source: 'Agent',
    meaning:
      'A container could not be started: its image could not be pulled, a file not fetched, its network not made; the command does not exist or may not be executed, the user is unknown, a Secret or ConfigMap is missing, a mount failed. The message says which.',
    todo: 'Mend what the message names.',
  },
  {
    reason: 'TaskInvalid',
    states: 'Error',
    source: 'Agent',
    meaning:
      'The description asks for what this agent does not do or does not allow (`spec.isolation` of the Agent). The message names the fields.',
    todo: 'Change the fields, or what the agent allows. Trying again as it is cannot help.',
  },
  {
    reason: 'TaskKilledDuringLaunch',
    states: 'Killed',
    source: 'Agent',
    meaning: 'It was to end before its command was started. From the controllers when it was not even placed.',
    todo: 'Nothing.',
  },
  {
    reason: 'ResourcesUnknown',
    states: 'Dropped',
    source: 'Agent',
    meaning: 'It needs a volume that does not exist, or is on another agent.',
    todo: 'Create the Volume, then the task again.',
  },
];
