/** Where a Docker Engine listens when nobody says otherwise. */
export const defaultDockerSocket = '/var/run/docker.sock';
