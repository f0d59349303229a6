/*
 * Namespaces beyond those that clone makes: the container's user namespace, and those of others that it joins.
 *
 * The user namespace is entered late, right before the change of user. Until then the container's first process is the host's root with only its
 * file system ids changed to those of the container's root, so that what it makes belongs to that; mounts and devices need privileges that no user
 * namespace has. Network, pid and other namespaces stay the host's: the container's root has no capability in them.
 */
#include "launcher.h"
#include <linux/securebits.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

/* Lives while the namespace is set up: until its end of the pipe ends, which it does also when the supervisor is killed. */
static int wait_for_end(void *argument) {
	const int *ends = argument;
	char byte;
	close(ends[1]);
	(void)!RETRY(read(ends[0], &byte, 1));
	return 0;
}

/* In this process's own memory, which is quicker than a fork: it only closes and reads. Nothing waits for it but `make_user_namespace`. */
static pid_t start_waiting(int ends[2]) {
#if defined(NO_SHARED_MEMORY)
	return spawn(&(struct spawn){.flags = CLONE_NEWUSER, .cgroup_fd = -1, .main = wait_for_end, .argument = ends});
#else
	static char stack[16 << 10] __attribute__((aligned(16)));
	return clone(wait_for_end, stack + sizeof stack, CLONE_NEWUSER | CLONE_VM, ends);
#endif
}

static int write_map(pid_t pid, const char *name, uint32_t host, uint32_t size) {
	char path[40], line[40];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	int length = snprintf(line, sizeof line, "0 %u %u", host, size);
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, line, (size_t)length) != length ? -1 : 0;
}

int make_user_namespace(const struct request *request, struct failure *failure) {
	char path[40];
	int ends[2], result = -1;
	if (pipe2(ends, O_CLOEXEC) < 0) return fail(failure, "pipe", "cannot make a pipe");
	pid_t pid = start_waiting(ends);
	close(ends[0]);
	if (pid < 0) {
		fail(failure, "userNamespace", "cannot make a user namespace");
	} else if (write_map(pid, "uid_map", request->uids.host, request->uids.size) < 0 || write_map(pid, "gid_map", request->gids.host, request->gids.size) < 0) {
		fail(failure, "userNamespace", "cannot map the ids of the user namespace");
	} else {
		snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
		result = open(path, O_RDONLY | O_CLOEXEC);
		if (result < 0) fail(failure, "userNamespace", "cannot open the user namespace");
	}
	close(ends[1]);
	if (pid > 0) waitpid(pid, NULL, __WALL);
	return result;
}

/* The process whose namespaces are shared: exactly that one, and not another with its pid. */
int open_shared_process(const struct request *request, struct failure *failure) {
	int fd = (int)syscall(SYS_pidfd_open, (pid_t)request->pid, 0);
	if (fd >= 0 && process_start((pid_t)request->pid, false) == request->start) return fd;
	close_fd(&fd);
	errno = ESRCH;
	return fail(failure, "enter", "the process whose namespaces are to be shared is not running");
}

static int open_namespace(const struct op *op) {
	return open(op->text[0], O_RDONLY | O_CLOEXEC);
}

static int clone_flags(uint64_t kinds) {
	return (kinds & NS_IPC ? CLONE_NEWIPC : 0) | (kinds & NS_UTS ? CLONE_NEWUTS : 0) | (kinds & NS_NET ? CLONE_NEWNET : 0) | (kinds & NS_PID ? CLONE_NEWPID : 0);
}

/* A pid namespace is joined by being born in it: the supervisor's next child is. */
int enter_shared_pids(const struct request *request, int peer, struct failure *failure) {
	struct cursor cursor = request->ops;
	struct op op;
	for (uint32_t i = 0; i < request->op_count && take_op(&cursor, &op); i++) {
		if (op.code != OP_JOIN_NAMESPACE || !(op.number[0] & NS_PID)) continue;
		CLEANUP_FD int fd = *op.text[0] ? open_namespace(&op) : -1;
		failure->op = (int32_t)i;
		if ((*op.text[0] && fd < 0) || setns(fd >= 0 ? fd : peer, CLONE_NEWPID) < 0) return fail(failure, "setns", "cannot join the pid namespace %s", op.text[0]);
		failure->op = -1;
	}
	return 0;
}

int join_namespace(struct world *w, const struct op *op) {
	int flags = clone_flags(op->number[0]) & ~CLONE_NEWPID;
	CLEANUP_FD int fd = *op->text[0] ? open_namespace(op) : -1;
	if (flags == 0) return 0;
	if (*op->text[0] && fd < 0) return failed(w, "open", "find the namespace", op->text[0]);
	return setns(fd >= 0 ? fd : w->child->target_fd, flags) < 0 ? failed(w, "setns", "join the namespace", *op->text[0] ? op->text[0] : "of the task") : 0;
}

int become_namespace_root(struct world *w) {
	const struct request *request = w->request;
	w->as_namespace_root = true;
	/* Without this bit the change of the file system id would take the capabilities for files away. Entering a user namespace clears it. */
	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) < 0) return failed(w, "prctl", "keep", "capabilities");
	syscall(SYS_setfsgid, request->gids.host);
	syscall(SYS_setfsuid, request->uids.host);
	return (uid_t)syscall(SYS_setfsuid, -1) == request->uids.host ? 0 : failed(w, "setfsuid", "use", "the ids of the container's root");
}

/* The streams become the container's before it is entered: inside, nobody may give away what belongs to the host. `number[0]` is a host id. */
int enter_user_namespace(struct world *w, const struct op *op) {
	struct stat st;
	int fd = w->request->type == FRAME_EXEC ? w->child->target_fd : w->child->user_fd;
	for (int i = 0; i < 3; i++)
		if (fstat(i, &st) == 0 && (S_ISFIFO(st.st_mode) || major(st.st_rdev) == 136) && fchown(i, (uid_t)op->number[0], (gid_t)-1) < 0)
			return failed(w, "fchown", "give away", "the output pipes");
	if (setns(fd, CLONE_NEWUSER) < 0) return failed(w, "setns", "enter", "the user namespace");
	w->in_user_namespace = true;
	return 0;
}

/* Whether root here is not root of the machine: the map of the first namespace is all ids onto themselves. */
bool in_own_user_namespace(void) {
	char map[64] = "";
	unsigned inside = 0, outside = 0, count = 0;
	CLEANUP_FD int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || RETRY(read(fd, map, sizeof map - 1)) <= 0) return false;
	return sscanf(map, "%u %u %u", &inside, &outside, &count) == 3 && (inside || outside || count != UINT32_MAX);
}

/* For every group of the network namespace that this process is in: all that the user namespace has, as it knows no others. */
int allow_echo_requests(void) {
	static const char *ranges[] = {"0 2147483647", "0 65535", "0 0"};
	CLEANUP_FD int fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC);
	if (fd < 0) return errno == ENOENT ? 0 : -1;
	for (int i = 0; i < 3; i++)
		if (write(fd, ranges[i], strlen(ranges[i])) > 0) return 0;
	return -1;
}

/*
 * Which of these kinds of namespaces the process does not have in common with us. Those of the host, which it shares with us, we may not enter
 * again without root. -1 if the process is not that one any more: then nothing was said of it.
 */
int other_namespaces(pid_t pid, uint64_t start, int kinds) {
	static const struct {
		const char *name;
		int flag;
	} names[] = {{"mnt", CLONE_NEWNS}, {"pid", CLONE_NEWPID}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"net", CLONE_NEWNET}};
	struct stat own, its;
	char path[40];
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "/proc/self/ns/%s", names[i].name);
		if (!(kinds & names[i].flag) || stat(path, &own) < 0) continue;
		snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, names[i].name);
		if (stat(path, &its) == 0 && its.st_ino == own.st_ino && its.st_dev == own.st_dev) kinds &= ~names[i].flag;
	}
	if (process_start(pid, false) == start) return kinds;
	errno = ESRCH;
	return -1;
}
