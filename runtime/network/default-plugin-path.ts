/** Where CNI plug-ins are when nobody says otherwise: as containerd and Kubernetes install them, and as Debian does. */
export const DEFAULT_PLUGIN_PATH = '/opt/cni/bin:/usr/lib/cni';
