/** The parts of the engine's answers that we read. */

export interface EngineVersion {
  Version: string;
  ApiVersion: string;
}

export interface ContainerState {
  Status: 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';
  Running: boolean;
  Pid: number;
  ExitCode: number;
  OOMKilled: boolean;
  Error: string;
  /** RFC 3339; year 1 when it never was. */
  StartedAt: string;
  FinishedAt: string;
}

export interface ContainerInspect {
  Id: string;
  State: ContainerState;
  HostConfig: { Memory: number };
  NetworkSettings?: {
    Networks?: Record<string, EndpointSettings>;
    /** By `<port>/<protocol>`; null for one that is exposed and not published. One entry for IPv4, one for IPv6. */
    Ports?: Record<string, { HostPort: string }[] | null>;
  };
}

/** Empty texts where there is nothing. */
export interface EndpointSettings {
  IPAddress?: string;
  GlobalIPv6Address?: string;
  Gateway?: string;
  IPv6Gateway?: string;
  MacAddress?: string;
}

export interface NetworkSummary {
  Name: string;
  Driver: string;
}

export interface ContainerSummary {
  Id: string;
  Labels: Record<string, string>;
  State: ContainerState['Status'];
}

export interface ContainerStats {
  cpu_stats: {
    cpu_usage: { usage_in_usermode: number; usage_in_kernelmode: number };
    throttling_data?: { periods: number; throttled_periods: number; throttled_time: number };
  };
  memory_stats: { usage?: number; max_usage?: number; limit?: number; stats?: Record<string, number> };
  pids_stats: { current?: number };
}
