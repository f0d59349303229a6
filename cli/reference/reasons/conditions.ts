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
