/* The roles `serve` and `replace`: becoming the one resident launcher of a runtime directory. */
#include "launcher.h"
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>

static int complain(const char *what, const char *object) {
	fprintf(stderr, "tepui-launcher: cannot %s %s: %s\n", what, object, strerror(errno));
	return 1;
}

static int open_socket(void) {
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "launcher.sock"};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(address.sun_path);
	return fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 64) == 0 ? fd : -1;
}

static void become_daemon(void) {
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	setsid();
	for (int fd = 0; fd < 3; fd++) dup2(null, fd);
	signal(SIGCHLD, SIG_IGN); /* supervisors are heard through their pipes, and need no reaping */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	/* The launcher and its supervisors should be the last to go. Not allowed without CAP_SYS_RESOURCE: then it stays as it is. */
	if (score >= 0) (void)!write(score, "-900", 4);
	close(score);
	close(null);
}

/* Another launcher of this directory, of whatever build: not one of its supervisors, which have a name of their own. */
static bool is_other(const char *name, const char *runtime_dir) {
	char path[64], text[PATH_MAX + 64], comm[32] = "";
	snprintf(path, sizeof path, "/proc/%.16s/comm", name);
	CLEANUP_FD int comm_fd = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof path, "/proc/%.16s/cmdline", name);
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : RETRY(read(fd, text, sizeof text - 1));
	if (length <= 0 || comm_fd < 0 || RETRY(read(comm_fd, comm, sizeof comm - 1)) <= 0 || strncmp(comm, "tepui-super", 11) == 0) return false;
	text[length] = '\0';
	const char *role = text + strlen(text) + 1, *end = text + length;
	const char *directory = role < end ? role + strlen(role) + 1 : end;
	return directory < end && (strcmp(role, "serve") == 0 || strcmp(role, "replace") == 0) && strcmp(directory, runtime_dir) == 0;
}

/* Supervisors and containers go on without it, and are taken over from their state files. */
static void end_others(const char *runtime_dir) {
	DIR *proc = opendir("/proc");
	for (struct dirent *entry; proc && (entry = readdir(proc));) {
		pid_t pid = atoi(entry->d_name);
		if (pid > 1 && pid != getpid() && is_other(entry->d_name, runtime_dir)) kill(pid, SIGKILL);
	}
	if (proc) closedir(proc);
}

static int take_lock(int lock, bool replacing, const char *runtime_dir) {
	for (int tries = 0; flock(lock, LOCK_EX | LOCK_NB) < 0; tries++) {
		if (!replacing || tries == 500) return -1;
		end_others(runtime_dir);
		poll(NULL, 0, 10);
	}
	return 0;
}

/*
 * The launcher and all that it starts leave the cgroups that the agent was started in: whoever ends those (a service manager, a replaced pod) must not
 * end containers. `groups`: pairs of a hierarchy's mount and a path below it, which exists.
 */
static int join_groups(char **groups) {
	char path[PATH_MAX];
	for (; *groups; groups += 2) {
		snprintf(path, sizeof path, "%s/%s/cgroup.procs", groups[0], groups[1]);
		CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0 && write(fd, "0", 1) == 1) continue;
		/* A launcher that was just ending has taken them away: whoever made them makes them again. */
		int result = errno == ENOENT || errno == ENODEV ? EX_TEMPFAIL : 1;
		complain("move to", path);
		return result;
	}
	return 0;
}

/* At the end: the groups, and those above them as far as nobody else has anything in them. */
static void leave_groups(char **groups) {
	char path[PATH_MAX];
	for (; *groups; groups += 2) {
		snprintf(path, sizeof path, "%s/cgroup.procs", groups[0]);
		CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "0", 1) != 1) continue;
		int length = snprintf(path, sizeof path, "%s/%s", groups[0], groups[1]);
		/* The last supervisor has said that it ends, and may still be at it. */
		for (int tries = 0; tries < 200 && rmdir(path) < 0 && errno == EBUSY; tries++) poll(NULL, 0, 5);
		for (size_t mount = strlen(groups[0]); length > (int)mount && (rmdir(path) == 0 || errno == ENOENT); length = (int)strlen(path)) *strrchr(path, '/') = '\0';
	}
}

/* By pid and start time, for whoever has to find this process again without a connection (see rootless.c). */
static void write_own_name(int runtime) {
	CLEANUP_FD int fd = openat(runtime, ".launcher", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || dprintf(fd, "%d %llu\n", getpid(), (unsigned long long)process_start(getpid(), false)) < 0) return;
	renameat(runtime, ".launcher", runtime, "launcher");
}

/* Returns in the foreground as soon as the socket listens; the launcher itself goes on in the background. `arguments`: role, directory, groups. */
int start_serving(char **arguments) {
	const char *runtime_dir = arguments[1];
	struct stat st;
	umask(077);
	int runtime = open(runtime_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (runtime < 0 || fstat(runtime, &st) < 0 || fchdir(runtime) < 0) return complain("open", runtime_dir);
	errno = EPERM; /* whoever may connect is root here */
	if (st.st_uid != geteuid() || st.st_mode & 077) return complain("use (it must be ours and mode 0700)", runtime_dir);
	int lock = open("launcher.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (lock < 0) return complain("open", "launcher.lock");
	bool replacing = strcmp(arguments[0], "replace") == 0;
	/* Somebody serves already: that is all that was asked for. */
	if (take_lock(lock, replacing, runtime_dir) < 0) return replacing ? complain("replace the launcher of", runtime_dir) : 0;
	int joined = join_groups(arguments + 2);
	if (joined != 0) return joined;
	if (mkdir("containers", 0700) < 0 && errno != EEXIST) return complain("make", "containers");
	if (mkdir("attach", 0700) < 0 && errno != EEXIST) return complain("make", "attach");
	int listener = open_socket();
	if (listener < 0) return complain("listen on", "launcher.sock");
	pid_t pid = fork();
	if (pid != 0) return pid < 0 ? complain("fork", "the launcher") : 0;
	if (chdir("/") < 0) return 1;
	become_daemon();
	write_own_name(runtime);
	int result = serve(runtime, listener);
	leave_groups(arguments + 2);
	return result;
}
