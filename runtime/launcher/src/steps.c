/*
 * The interpreter: what the container's first process does between clone and exec. One loop, one case per operation, no policy.
 * Paths are resolved below the new root by openat2(RESOLVE_IN_ROOT), so that no symlink in a file system we do not trust leads out.
 * It may run in memory borrowed from the supervisor (vfork-style), hence raw system calls where libc would keep state.
 */
#include "launcher.h"
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <linux/filter.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

enum { UMOUNT_DETACH = 2 }; /* <sys/mount.h> clashes with <linux/mount.h> */

int failed(struct world *w, const char *step, const char *verb, const char *object) {
	return fail(&w->failure, step, "cannot %s %s", verb, object);
}

static int make_directories(struct world *w, const struct op *op) {
	char path[PATH_MAX];
	int parent = -1, fd = resolve(w, op->text[0], O_DIRECTORY);
	strcpy(path, op->text[0]);
	for (char *at = path; fd < 0 && *at;) {
		char *end = strchrnul(at + 1, '/'), saved = *end;
		bool last = !end[strspn(end, "/")];
		*end = '\0';
		if (parent < 0) parent = resolve(w, "/", O_DIRECTORY);
		int next = resolve(w, path, O_DIRECTORY);
		if (next < 0 && errno == ENOENT && parent >= 0 && mkdirat(parent, at + 1, last ? (mode_t)op->number[0] : 0755) == 0) {
			next = openat(parent, at + 1, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			/* mkdir takes no setgid bit, and a change of owner takes it away: hence chmod, and last. */
			if (last && (next < 0 || fchown(next, (uid_t)op->number[1], (gid_t)op->number[2]) < 0 || fchmod(next, (mode_t)op->number[0]) < 0)) {
				if (next >= 0) close(next);
				next = -1;
			}
		}
		if (parent >= 0) close_fd(&parent);
		parent = next;
		if (next < 0) return failed(w, "mkdir", "make the directory", path);
		*end = saved;
		at = last ? end + strlen(end) : end;
	}
	if (fd >= 0) close(fd);
	if (parent >= 0) close(parent);
	return 0;
}

/* Opens the parent directory below the root and gives the last part of the path. */
static int parent_of(struct world *w, const char *path, const char **name) {
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	snprintf(dir, sizeof dir, "%.*s/", (int)(slash - path), path);
	*name = slash + 1;
	int fd = resolve(w, dir, O_DIRECTORY);
	if (fd < 0) failed(w, "open", "find the directory of", path);
	return fd;
}

static int create_file(struct world *w, const struct op *op) {
	const char *name, *path = op->text[0];
	struct stat st;
	CLEANUP_FD int dir = parent_of(w, path, &name);
	if (dir < 0) return -1;
	bool replace = op->number[1] != 0;
	/* The old file is not written to: it may be a hard link to something else. */
	if (replace && unlinkat(dir, name, 0) < 0 && errno != ENOENT) return failed(w, "unlink", "replace", path);
	if (!replace && fstatat(dir, name, &st, 0) == 0) return 0;
	CLEANUP_FD int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, (mode_t)op->number[0]);
	if (fd < 0 || write_all(fd, op->blob, op->blob_length) < 0) return failed(w, "create", "create", path);
	return 0;
}

static int enter_root(struct world *w, const char *path) {
	struct statx st;
	int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) return failed(w, "open", "find the root", path);
	close(w->root); /* the host's: through /proc/self/fd it would still lead there after the change of root */
	w->root = fd;
	if (statx(fd, "", AT_EMPTY_PATH, 0, &st) == 0 && st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT && !(st.stx_attributes & STATX_ATTR_MOUNT_ROOT)) {
		errno = EINVAL;
		return failed(w, "enterRoot", "use as root (not a mount point)", path);
	}
	return 0;
}

/*
 * So far the standard input was the host's /dev/null, whose mode and owner a container's root could change through the descriptor. From here
 * on it is the container's own, or, where it has none, an empty pipe.
 */
static int own_standard_input(struct world *w) {
	int ends[2] = {open("/dev/null", O_RDWR | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC), -1};
	struct stat st;
	if (ends[0] >= 0 && (fstat(ends[0], &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))) {
		close(ends[0]);
		ends[0] = -1;
	}
	if (ends[0] < 0 && pipe2(ends, O_CLOEXEC) < 0) return failed(w, "pipe", "make", "an empty input");
	int result = dup2(ends[0], 0);
	close(ends[0]);
	close_fd(&ends[1]);
	return result < 0 ? failed(w, "dup2", "set up", "the standard input") : 0;
}

static int pivot_root_(struct world *w) {
	/* pivot_root(".", ".") puts the old root on top of the new one: no directory is needed for it, and one umount gets rid of it. */
	if (fchdir(w->root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0) return failed(w, "pivot_root", "change", "the root");
	if (syscall(SYS_umount2, ".", UMOUNT_DETACH) < 0) return failed(w, "umount", "detach", "the old root");
	if (chdir("/") < 0) return failed(w, "chdir", "enter", "the new root");
	close(w->root);
	w->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w->root < 0) return failed(w, "open", "open", "the new root");
	return w->request->flags & WITH_STDIN ? 0 : own_standard_input(w);
}

static int loopback_up(struct world *w) {
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	CLEANUP_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0) return failed(w, "ioctl", "bring up", "the loopback interface");
	/* Nobody but the container is on this network: as with `hold`, listening and echo requests need no capability. /proc is the host's still. */
	static const char start[] = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
	CLEANUP_FD int file = open(start, O_WRONLY | O_CLOEXEC);
	if (file >= 0 && write_all(file, "0", 1) < 0) return failed(w, "write", "set", start);
	return allow_echo_requests() < 0 && errno != EACCES && errno != EROFS ? failed(w, "write", "set", "ping_group_range") : 0;
}

static int join_cgroup(struct world *w, const char *path, unsigned index) {
	CLEANUP_FD int fd = w->child->join_fds ? w->child->join_fds[index] : open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 || write(fd, "0", 1) != 1 ? failed(w, "join", "join the cgroup", path) : 0;
}

static int set_limit(struct world *w, const struct op *op) {
	struct rlimit limit = {op->number[1], op->number[2]};
	if (setrlimit((int)op->number[0], &limit) == 0) return 0;
	return fail(&w->failure, "setrlimit", "cannot set resource limit %d to %llu:%llu%s", (int)op->number[0], (unsigned long long)limit.rlim_cur,
		(unsigned long long)limit.rlim_max, errno == EPERM ? " (raising a hard limit needs CAP_SYS_RESOURCE)" : "");
}

static int set_oom_score(struct world *w, int value) {
	char text[16];
	int length = snprintf(text, sizeof text, "%d", value);
	if (w->child->prepared_oom) return 0;
	return w->oom_fd < 0 || write(w->oom_fd, text, (size_t)length) != length ? failed(w, "write", "set oom_score_adj to", text) : 0;
}

/* In a user namespace of one id the kernel keeps the groups of whoever made it: there is no list to be set, and a list that is asked for is refused. */
static bool groups_are_fixed(void) {
	char text[8] = "";
	CLEANUP_FD int fd = open("/proc/self/setgroups", O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, text, sizeof text - 1) > 0 && strncmp(text, "deny", 4) == 0;
}

static int set_user(struct world *w, const struct op *op) {
	uid_t uid = (uid_t)op->number[0];
	gid_t gid = (gid_t)op->number[1];
	struct stat st;
	/* The command must be able to open /dev/stdout again: the pipes (or the terminal) become its own. */
	for (int fd = 0; fd < 3 && !w->in_user_namespace; fd++)
		if (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || major(st.st_rdev) == 136) && fchown(fd, uid, (gid_t)-1) < 0) return failed(w, "fchown", "give away", "the output pipes");
	if (syscall(SYS_setgroups, op->blob_length / 4, op->blob) < 0 && (op->blob_length || !groups_are_fixed())) return failed(w, "setgroups", "set", "supplementary groups");
	if (syscall(SYS_setresgid, gid, gid, gid) < 0) return failed(w, "setgid", "set", "the group");
	if (prctl(PR_SET_KEEPCAPS, 1) < 0 || syscall(SYS_setresuid, uid, uid, uid) < 0) return failed(w, "setuid", "set", "the user");
	return 0;
}

static int set_capabilities(struct world *w, const struct op *op) {
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	const uint64_t bounding = op->number[0], permitted = op->number[2], ambient = op->number[4];
	if (syscall(SYS_capget, &header, data) < 0) return failed(w, "capget", "read", "capabilities");
	uint64_t held = data[0].permitted | (uint64_t)data[1].permitted << 32;
	if (permitted & ~held) {
		errno = EPERM;
		return fail(&w->failure, "capset", "the launcher itself does not hold capabilities %#llx of those asked for", (unsigned long long)(permitted & ~held));
	}
	/* After the change of user nothing is effective: dropping from the bounding set needs CAP_SETPCAP once more. */
	data[0].effective = data[0].permitted, data[1].effective = data[1].permitted;
	if (syscall(SYS_capset, &header, data) < 0) return failed(w, "capset", "raise", "capabilities");
	for (int cap = 0; cap < 64; cap++) {
		if (bounding >> cap & 1 || prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0) continue;
		if (errno == EINVAL) break; /* the kernel's last one */
		return failed(w, "capbset", "drop", "a capability from the bounding set");
	}
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int i = 0; i < 2; i++)
		data[i] = (struct __user_cap_data_struct){(uint32_t)(op->number[1] >> 32 * i), (uint32_t)(permitted >> 32 * i), (uint32_t)(op->number[3] >> 32 * i)};
	if (syscall(SYS_capset, &header, data) < 0) return failed(w, "capset", "set", "capabilities");
	for (int cap = 0; cap < 64; cap++)
		if (ambient >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0) return failed(w, "ambient", "raise", "an ambient capability");
	return 0;
}

int install_filter(struct world *w, const struct op *op) {
	struct sock_fprog program = {(unsigned short)(op->blob_length / 8), (struct sock_filter *)(uintptr_t)op->blob};
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, (unsigned)op->number[0], &program) == 0) return 0;
	return failed(w, "seccomp", "install", "the system call filter");
}

static int make_node(struct world *w, const struct op *op) {
	const char *name;
	CLEANUP_FD int dir = parent_of(w, op->text[0], &name);
	if (dir < 0) return -1;
	mode_t mode = (mode_t)op->number[3] | (op->number[0] ? S_IFBLK : S_IFCHR);
	dev_t device = makedev((unsigned)op->number[1], (unsigned)op->number[2]);
	if (mknodat(dir, name, mode, device) < 0) return failed(w, "mknod", "make the device", op->text[0]);
	uid_t uid = (uid_t)op->number[4];
	gid_t gid = (gid_t)op->number[5];
	return fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ? failed(w, "chown", "give away the device", op->text[0]) : 0;
}

static int make_symlink(struct world *w, const struct op *op) {
	const char *name;
	CLEANUP_FD int dir = parent_of(w, op->text[1], &name);
	if (dir < 0) return -1;
	return symlinkat(op->text[0], dir, name) < 0 && errno != EEXIST ? failed(w, "symlink", "make the symlink", op->text[1]) : 0;
}

static int enter_directory(struct world *w, const char *path) {
	CLEANUP_FD int fd = resolve(w, path, O_DIRECTORY);
	return fd < 0 || fchdir(fd) < 0 ? failed(w, "chdir", "enter the working directory", path) : 0;
}

static int run_op(struct world *w, const struct op *op, unsigned index) {
	switch (op->code) {
	case OP_JOIN_CGROUP: return join_cgroup(w, op->text[0], index);
	case OP_MOUNT: return do_mount(w, op);
	case OP_SET_MOUNT_ATTRIBUTES: return change_attributes(w, op);
	case OP_MKDIR: return make_directories(w, op);
	case OP_CREATE_FILE: return create_file(w, op);
	case OP_SYMLINK: return make_symlink(w, op);
	case OP_MKNOD: return make_node(w, op);
	case OP_MASK: return mask(w, op->text[0]);
	case OP_READ_ONLY: return read_only(w, op->text[0]);
	case OP_ENTER_ROOT: return enter_root(w, op->text[0]);
	case OP_PIVOT_ROOT: return pivot_root_(w);
	case OP_HOSTNAME: return sethostname(op->text[0], strlen(op->text[0])) < 0 ? failed(w, "sethostname", "set the host name", op->text[0]) : 0;
	case OP_LOOPBACK_UP: return loopback_up(w);
	case OP_RLIMIT: return set_limit(w, op);
	case OP_OOM_SCORE_ADJ: return set_oom_score(w, (int)op->number[0] - 1000);
	case OP_UMASK: w->umask = (mode_t)op->number[0]; return 0;
	case OP_USER: return set_user(w, op);
	case OP_CAPABILITIES: return set_capabilities(w, op);
	case OP_NO_NEW_PRIVILEGES:
		w->no_new_privileges = true;
		return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? failed(w, "prctl", "set", "no_new_privs") : 0;
	case OP_SECCOMP:
		if (!w->no_new_privileges) return install_filter(w, op);
		w->filter = *op;
		w->filter_index = (int32_t)index;
		return 0;
	case OP_WORKING_DIRECTORY: return enter_directory(w, op->text[0]);
	case OP_TERMINAL: return give_terminal(w);
	case OP_DEVICE_RULES:
		return set_device_rules(op->text[0], op->blob, op->blob_length) < 0 ? failed(w, "devices", "set the device rules of", op->text[0]) : 0;
	case OP_APPARMOR: return set_apparmor(op->text[0]) < 0 ? failed(w, "apparmor", "change to the AppArmor profile", op->text[0]) : 0;
	case OP_OVERLAY: return do_overlay(w, op);
	case OP_JOIN_NAMESPACE: return join_namespace(w, op);
	case OP_USER_NAMESPACE: return enter_user_namespace(w, op);
	default: errno = EINVAL; return failed(w, "run", "understand", "the operation");
	}
}

/* The cgroup namespace's root is where the process is when it is made: so it is made right after the last joinCgroup. */
static int make_cgroup_namespace(struct world *w) {
	if (!w->new_cgroup_namespace) return 0;
	w->new_cgroup_namespace = false;
	bool exec = w->request->type == FRAME_EXEC;
	return (exec ? setns(w->child->target_fd, CLONE_NEWCGROUP) : unshare(CLONE_NEWCGROUP)) < 0 ? failed(w, "unshare", "make", "the cgroup namespace") : 0;
}

/* Between the cgroups, which are the host's, and everything else, which is the container's. */
static int leave_host(struct world *w) {
	if (make_cgroup_namespace(w) < 0) return -1;
	return w->child->user_fd >= 0 && !w->as_namespace_root ? become_namespace_root(w) : 0;
}

int run_ops(struct world *w) {
	struct cursor cursor = w->request->ops;
	struct op op;
	for (uint32_t i = 0; i < w->request->op_count; i++) {
		w->failure.op = (int32_t)i;
		if (!take_op(&cursor, &op)) return failed(w, "decode", "read", "the operation");
		if (op.code != OP_JOIN_CGROUP && leave_host(w) < 0) return -1;
		if (run_op(w, &op, i) < 0) return -1;
	}
	w->failure.op = -1;
	return leave_host(w);
}
