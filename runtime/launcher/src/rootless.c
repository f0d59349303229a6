/*
 * The one-shot role `rootless`: runs a program as root of a user namespace, for a user who is not root of the host.
 *
 * `rootless new CGROUP PLACE UIDS GIDS NEWUIDMAP NEWGIDMAP PROGRAM [ARGUMENT...]` makes the namespaces: one of users, one of mounts, with the cgroup
 * bound at PLACE. UIDS and GIDS are `INSIDE:OUTSIDE:COUNT`, with commas. The two programs write the maps; with "" for both this process writes
 * them, and the kernel lets it map its own ids alone.
 *
 * `rootless join PID:START,... PROGRAM [ARGUMENT...]` enters those of the first of these processes that still lives. A pid alone proves nothing.
 *
 * This process itself becomes the program, so signals, exit code and descriptors are the program's. It has no privilege that its caller lacks:
 * whatever it is given, the kernel and the two programs decide.
 */
#include "launcher.h"
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { CANNOT = 6, MAX_EXTENTS = 64 }; /* CANNOT: this machine, or its setting, does not allow it */

/* The last of them lets the namespace be made, and then refuses what it is for. */
static const char sysctls[] =
	" (see the sysctls user.max_user_namespaces, kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns)";

static int complain(const char *what, const char *object, const char *hint) {
	fprintf(stderr, "tepui: cannot %s%s%s: %s%s\n", what, *object ? " " : "", object, strerror(errno), hint);
	return CANNOT;
}

static bool read_number(const char **at, char end, uint32_t *number) {
	char *rest;
	if (**at < '0' || **at > '9') return false;
	unsigned long long value = strtoull(*at, &rest, 10);
	if (value > UINT32_MAX || (*rest != end && !(end == ',' && !*rest))) return false;
	*number = (uint32_t)value;
	*at = *rest ? rest + 1 : rest;
	return true;
}

struct extent {
	uint32_t inside, outside, count;
};

static unsigned read_extents(const char *text, struct extent extents[MAX_EXTENTS]) {
	unsigned count = 0;
	while (*text && count < MAX_EXTENTS) {
		struct extent *extent = &extents[count++];
		if (!read_number(&text, ':', &extent->inside) || !read_number(&text, ':', &extent->outside) || !read_number(&text, ',', &extent->count)) return 0;
	}
	return *text ? 0 : count;
}

static int write_text(const char *path, const char *text) {
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, text, strlen(text)) < 0 ? complain("write", path, "") : 0;
}

/* Of one id. The kernel wants supplementary groups to stay as they are then: nobody may give up a group that keeps him away from something. */
static int map_own(const char *uids, const char *gids) {
	struct extent extents[MAX_EXTENTS];
	char line[48];
	const char *maps[][2] = {{"/proc/self/uid_map", uids}, {"/proc/self/gid_map", gids}};
	if (write_text("/proc/self/setgroups", "deny") != 0) return CANNOT;
	for (int i = 0; i < 2; i++) {
		read_extents(maps[i][1], extents);
		snprintf(line, sizeof line, "%u %u %u", extents->inside, extents->outside, extents->count);
		if (write_text(maps[i][0], line) != 0) return CANNOT;
	}
	return 0;
}

/* newuidmap PID (INSIDE OUTSIDE COUNT)..., with nothing of our environment: it is setuid. */
static int run_map_program(const char *program, pid_t pid, const char *map) {
	struct extent extents[MAX_EXTENTS];
	char numbers[3 * MAX_EXTENTS + 1][16], *argv[3 * MAX_EXTENTS + 3], *env[] = {NULL};
	unsigned words = 0, count = read_extents(map, extents);
	int status;
	snprintf(numbers[words++], 16, "%d", pid);
	for (unsigned i = 0; i < count; i++) {
		snprintf(numbers[words++], 16, "%u", extents[i].inside);
		snprintf(numbers[words++], 16, "%u", extents[i].outside);
		snprintf(numbers[words++], 16, "%u", extents[i].count);
	}
	argv[0] = (char *)program;
	for (unsigned i = 0; i < words; i++) argv[i + 1] = numbers[i];
	argv[words + 1] = NULL;
	pid_t child = fork();
	if (child == 0) {
		execve(program, argv, env);
		_exit(complain("execute", program, ""));
	}
	if (child < 0 || RETRY(waitpid(child, &status, 0)) < 0) return complain("run", program, "");
	if (status != 0) fprintf(stderr, "tepui: %s did not map the ids of /etc/subuid and /etc/subgid\n", program);
	return status == 0 ? 0 : CANNOT;
}

/* A child that stays outside, where the two programs are what they are. It waits for the namespace, and its exit code is the result. */
static pid_t start_mapper(char **arguments, int ends[2]) {
	pid_t target = getpid(), child = fork();
	char byte;
	if (child != 0) return child;
	close(ends[1]);
	if (RETRY(read(ends[0], &byte, 1)) != 1) _exit(CANNOT);
	_exit(run_map_program(arguments[4], target, arguments[2]) != 0 || run_map_program(arguments[5], target, arguments[3]) != 0 ? CANNOT : 0);
}

static int make_user_and_mounts(void) {
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) return 0;
	return complain("make", "a user namespace", sysctls);
}

static int make_namespaces(char **arguments) {
	int ends[2], status = CANNOT << 8;
	bool by_program = *arguments[4];
	if (!by_program) {
		if (make_user_and_mounts() != 0) return CANNOT;
		return map_own(arguments[2], arguments[3]);
	}
	if (pipe2(ends, O_CLOEXEC) < 0) return complain("make", "a pipe", "");
	pid_t mapper = start_mapper(arguments, ends);
	close(ends[0]);
	if (mapper < 0) return complain("fork", "", "");
	int result = make_user_and_mounts();
	if (result == 0 && write(ends[1], "", 1) != 1) result = complain("write", "to a pipe", "");
	close(ends[1]);
	if (RETRY(waitpid(mapper, &status, 0)) < 0) return complain("wait for", "the maps", "");
	if (result != 0 || status != 0) return CANNOT;
	/* The caller's groups are groups of the host: nothing in here is to have them. */
	return setgroups(0, NULL) < 0 ? complain("give up", "supplementary groups", sysctls) : 0;
}

static int run_new(char **arguments) {
	if (make_namespaces(arguments) != 0) return CANNOT;
	/* What the host mounts later comes here too; what is mounted here stays here. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) return complain("separate", "the mounts", sysctls);
	if (mount(arguments[0], arguments[1], NULL, MS_BIND, NULL) < 0) return complain("bind the cgroup at", arguments[1], "");
	execv(arguments[6], arguments + 6);
	return complain("execute", arguments[6], "");
}

static int enter(pid_t pid, uint64_t start) {
	CLEANUP_FD int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	errno = ESRCH;
	return fd < 0 || process_start(pid, false) != start ? -1 : setns(fd, CLONE_NEWUSER | CLONE_NEWNS);
}

static int run_join(char **arguments) {
	char directory[PATH_MAX];
	bool entered = false, known = getcwd(directory, sizeof directory) != NULL;
	for (char *at = arguments[0]; *at && !entered;) {
		char *colon = strchr(at, ':'), *end = NULL;
		if (!colon) break;
		entered = enter((pid_t)strtol(at, NULL, 10), strtoull(colon + 1, &end, 10)) == 0;
		at = *end ? end + 1 : end;
	}
	if (!entered) return complain("enter", "the namespaces of the tasks that run", "");
	/* With one id the kernel keeps these as they are. */
	if (setgroups(0, NULL) < 0 && errno != EPERM) return complain("give up", "supplementary groups", "");
	/* Entering a mount namespace has put us at its root. */
	if (known && chdir(directory) < 0) return complain("enter", directory, "");
	execv(arguments[1], arguments + 1);
	return complain("execute", arguments[1], "");
}

/* `arguments` starts with the role. */
int run_rootless(int count, char **arguments) {
	struct extent extents[MAX_EXTENTS];
	bool making = count >= 9 && strcmp(arguments[1], "new") == 0, joining = count >= 4 && strcmp(arguments[1], "join") == 0;
	bool valid = joining ? arguments[3][0] == '/' : making && arguments[2][0] == '/' && arguments[3][0] == '/' && arguments[8][0] == '/';
	for (int i = 4; making && valid && i <= 5; i++) valid = read_extents(arguments[i], extents) > 0;
	for (int i = 6; making && valid && i <= 7; i++) valid = arguments[i][0] == '/' || (!*arguments[6] && !*arguments[7]);
	if (!valid) {
		fprintf(stderr, "usage: tepui-launcher rootless new CGROUP PLACE UIDS GIDS NEWUIDMAP NEWGIDMAP PROGRAM... | join PID:START,... PROGRAM...\n");
		return 2;
	}
	return making ? run_new(arguments + 2) : run_join(arguments + 2);
}
