/**
 * Every reason that Tepui writes into a status, a condition or an event, in words. test/cli/reference.test.ts fails when the source has
 * a reason that is not here.
 */

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

/** `status.placement.reasons` of a Task. */
export const placementReasons: Record<string, string> = {
  InsufficientCpus: 'Fewer CPUs are free than `requests.cpus`.',
  InsufficientMem: 'Less memory is free than `requests.mem`.',
  InsufficientDisk: 'Less disk is free than `requests.disk`.',
  InsufficientGpus: 'Fewer GPUs are free than asked for.',
  InsufficientResource: 'Less is free of a resource with a name of its own (`requests.custom`).',
  InsufficientPorts: 'Not enough ports of the range of the agent are free.',
  HostPortInUse: 'A `hostPort` that the task names is taken by another task.',
  NetworkNotFound:
    'The agent has no network of that name, or cannot use it; `status.networks` of the agent says which it has, and why.',
  PortsNotMappable: 'The task names a `hostPort`, and none of its networks has the capability `portMappings` there.',
  AgentNameMismatch: '`placement.agentName` is another agent.',
  AgentSelectorMismatch: 'The labels of the agent do not match `placement.agentSelector`.',
  UnfulfilledConstraint: 'One of `placement.constraints` does not hold.',
  AgentGone: '`spec.gone` of the agent is set.',
  AgentBeingDeleted: 'The Agent document is being deleted.',
  AgentDraining: '`spec.drain` of the agent is set.',
  AgentDeactivated: '`spec.deactivated` of the agent is set.',
  AgentUnreachable: 'The lease of the agent has expired.',
  AgentNotReady: 'The condition Ready of the agent is not True; `kubectl describe agent` says why.',
  ReservationsNotImplemented: 'The agent has `spec.reservations` or `spec.defaultRole`, which are not implemented yet.',
  VolumeNotFound: 'A volume of the task does not exist.',
  VolumeBeingDeleted: 'A volume of the task is being deleted.',
  VolumeLost: 'A volume of the task was on an agent that is gone.',
  VolumeInUse: 'A volume with access Exclusive is used by another task.',
  VolumeNotBound: 'A volume with bindingMode Immediate has no agent yet.',
  VolumeOnOtherAgent: 'A volume of the task is on another agent.',
  VolumePlacementMismatch: 'The agent does not match the placement of a volume.',
  VolumeNoSuchDisk: 'The agent has no disk of the type, name and profile that a volume asks for.',
  VolumeDiskFull:
    'The disks that a volume could be on have no room for its size (a Mount disk: it holds another volume).',
  VolumeDataOnOtherAgent: 'The data of the volume was retained on another agent.',
  QuotaExceeded: 'The role has used up its quota limit.',
  NoAgents: 'No agent has registered.',
  NotImplemented: 'The task declares a field that the scheduler does not honour yet.',
};

/** Conditions, by kind. */
export interface ConditionDescription {
  type: string;
  meaning: string;
  reasons: Record<string, string>;
}

const notStalled = { NotStalled: 'Nothing is wrong.' };

export const conditions: Record<string, ConditionDescription[]> = {
  Framework: [
    {
      type: 'Ready',
      meaning: 'Services: all wanted tasks are of the current template, and are available.',
      reasons: {
        TasksReady: 'They are.',
        ScaledToZero: '`spec.replicas` is 0.',
        TasksNotReady: 'Tasks are being started.',
        TasksUnschedulable: 'No agent takes one of its tasks; the message says why.',
        BackingOff: 'Its tasks end again and again; the next launch waits.',
        RolloutInProgress: 'Tasks of an old template are being replaced.',
        WaitingForDependencies: 'A framework that it depends on is not there yet.',
        Paused: '`spec.paused` is true.',
      },
    },
    {
      type: 'Succeeded',
      meaning: 'Jobs: Unknown until it is over. Such an end is final.',
      reasons: {
        JobSucceeded: 'All completions are there.',
        JobRunning: 'It is under way.',
        BackoffLimitExceeded: 'More tasks failed than `job.backoffLimit`.',
        DeadlineExceeded: 'It was active for longer than `job.activeDeadlineSeconds`.',
        TaskInvalid: 'One of its tasks ended in state Error.',
        Suspended: '`job.suspend` is true.',
      },
    },
    {
      type: 'Failed',
      meaning: 'Jobs: it failed, with the reason of Succeeded.',
      reasons: { NotFailed: 'It did not.' },
    },
    {
      type: 'Suspended',
      meaning: 'Jobs: `job.suspend` is true and its tasks are ended.',
      reasons: { Suspended: 'It is.', NotSuspended: 'It is not.' },
    },
    {
      type: 'Reconciling',
      meaning:
        'The controller is at work on it; the reason is that of Ready or Succeeded. For tools that read kstatus.',
      reasons: {},
    },
    {
      type: 'Stalled',
      meaning: 'It will not get further as it is. Also the reason of Ready or Succeeded where nothing is made at all.',
      reasons: {
        ...notStalled,
        ProgressDeadlineExceeded: 'No progress for `spec.progressDeadlineSeconds`.',
        TaskInvalid: 'A task of the current template ended in state Error.',
        TaskRejected: 'The API server refused its tasks; the message says why.',
        TemplateMissing: '`spec.template` is missing.',
        DependencyCycle: '`spec.dependsOn` leads back to itself.',
        NotImplemented: 'It declares something that is not implemented yet; the message names the field.',
      },
    },
  ],
  Task: [
    {
      type: 'Scheduled',
      meaning: 'It is bound to an agent.',
      reasons: { Scheduled: 'It is.', Unschedulable: 'No agent takes it; `status.placement` says why.' },
    },
    {
      type: 'Ready',
      meaning:
        'Every container of it runs, or has done its work, and is healthy and ready as far as it has checks. Other reasons are those of `status.reason`, or the state where that is empty.',
      reasons: {
        ContainersNotReady: 'A container does not run (it may be restarting), or its checks have not succeeded yet.',
        Unhealthy: 'The health check of a container fails.',
        Frozen: 'Its processes are stopped.',
      },
    },
    {
      type: 'Healthy',
      meaning: 'Only with health checks: whether they succeed; Unknown until they have a result.',
      reasons: { HealthCheck: 'What they found.' },
    },
    {
      type: 'Frozen',
      meaning: 'Only after `spec.desiredState` was Frozen: whether its processes are stopped.',
      reasons: {
        Requested: 'They are.',
        Resumed: 'They go on.',
        Ended: 'The task has ended.',
        NotSupported: 'The containerizer of its agent cannot freeze.',
      },
    },
    {
      type: 'SpecApplied',
      meaning: 'Only after `spec` was changed while it ran: whether what runs is what `spec` says.',
      reasons: {
        ResourcesUpdated: 'It is: cpu and memory were changed without a restart.',
        ContainerUpdateFailed: 'The new cpu or memory could not be given; the message says why. It is tried again.',
        FieldsNotApplied: 'Fields were changed that a running task cannot take; the message names them.',
      },
    },
    { type: 'Succeeded', meaning: 'It is Finished; Unknown until it ended. The reason is as for Ready.', reasons: {} },
  ],
  Volume: [
    {
      type: 'Ready',
      meaning: 'Its directory exists and its agent is in reach.',
      reasons: {
        Available: 'It is.',
        WaitForFirstTask: 'An agent is chosen when a task first uses it.',
        AgentNotChosen: 'The scheduler has not chosen an agent yet.',
        Unschedulable: 'No agent takes it; the message says why.',
        DirectoryNotMade: 'Its agent has not made the directory yet.',
        PersistenceIdTaken:
          'The data of that role and persistenceId belongs to another namespace, or to another Volume.',
        DiskNotUsable:
          'Its disk is not mounted, or not declared any more; the message says which. It is looked at again.',
        EnforcementImpossible: 'The size cannot be kept as spec.enforcement asks, or not be made smaller.',
        InvalidName: 'Role or persistenceId cannot be the name of a directory.',
        OwnerUnknown: 'spec.owner names a user or group that the agent does not have.',
        AgentUnreachable: 'Its agent is out of reach; the data is there.',
        AgentGone: 'Its agent is marked gone: the data is lost, not deleted.',
        AgentMissing: 'There is no document of its agent any more.',
        DeletionWaitsForTasks: 'It is being deleted, and tasks still use it.',
        DeletingData: 'Its agent removes the data.',
        Deleted: 'The data is removed.',
      },
    },
    {
      type: 'AgentReachable',
      meaning: 'Its agent is in reach.',
      reasons: {
        AgentReady: 'It is.',
        AgentUnreachable: 'The lease of the agent has expired.',
        AgentGone: '`spec.gone` of the agent is set.',
        AgentMissing: 'There is no such Agent.',
      },
    },
  ],
  Agent: [
    {
      type: 'Ready',
      meaning: 'It runs tasks.',
      reasons: {
        AgentRegistered: 'It does.',
        AgentStopped:
          'Its process was stopped on purpose. Running tasks go on; new ones are not bound to it until it is back.',
        AgentNotRegistered: 'The document exists, and no agent has registered with it.',
        AgentUnreachable: 'Its lease has expired (status Unknown).',
        AgentRemovedByOperator: '`spec.gone` is set.',
        InvalidSpec: '`spec` asks for what this agent does not do yet; the message names the fields.',
      },
    },
    {
      type: 'Reachable',
      meaning: 'It renews its lease.',
      reasons: { AgentRegistered: 'It does.', AgentUnreachable: 'It does not.' },
    },
    {
      type: 'Drained',
      meaning: 'Only with `spec.drain`.',
      reasons: { NotImplemented: 'Draining is not implemented yet: no new tasks come, running ones go on.' },
    },
  ],
  FrameworkRole: [
    {
      type: 'Ready',
      meaning: 'The scheduler keeps to it.',
      reasons: { PolicyKept: 'It does.', NotImplemented: 'It declares something that is not implemented yet.' },
    },
    {
      type: 'OverLimit',
      meaning: 'More is in use than the quota limit; nothing is killed for it.',
      reasons: { LimitExceeded: 'It is.', WithinLimits: 'It is not.' },
    },
  ],
};

/** Events with a reason that is not already that of a condition. */
export const eventReasons: Record<string, { of: string; meaning: string }> = {
  Scheduled: { of: 'Task', meaning: 'It was bound to an agent after it had to wait.' },
  FailedScheduling: { of: 'Task, Volume', meaning: 'No agent takes it; the message says why.' },
  TaskUnreachable: { of: 'Task', meaning: 'Its agent is out of reach.' },
  TaskGone: { of: 'Task', meaning: 'Its agent was deleted.' },
  TaskGoneByOperator: { of: 'Task', meaning: 'Its agent was declared gone.' },
  AgentUnreachable: { of: 'Agent', meaning: 'Its lease has expired.' },
  TasksCreated: { of: 'Framework', meaning: 'Tasks were made.' },
  TaskEnded: { of: 'Framework', meaning: 'A task of a service ended; when the next is launched.' },
  ScaledDown: { of: 'Framework', meaning: 'Tasks are ended that are no longer wanted.' },
  RolloutStarted: { of: 'Framework', meaning: 'The template changed.' },
  OldTasksEnded: { of: 'Framework', meaning: 'Tasks of an old template are ended.' },
  RolloutCompleted: { of: 'Framework', meaning: 'All tasks are of the new template.' },
  JobTaskFailed: { of: 'Framework', meaning: 'A task of a job failed; when the next is launched.' },
  JobSuspended: { of: 'Framework', meaning: '`job.suspend` was set.' },
  JobResumed: { of: 'Framework', meaning: '`job.suspend` was taken back.' },
  DataRetained: { of: 'Volume', meaning: 'The document is deleted and the data stays: where.' },
  DataDeleted: { of: 'Volume', meaning: 'The data was deleted.' },
  DataNotDeleted: { of: 'Volume', meaning: 'The document is deleted, but the data could not be: its agent is gone.' },
};
