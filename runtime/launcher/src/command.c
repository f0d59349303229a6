/*
 * How a command gets to run: the last steps of a container's first process, and of one more command in a living container (`exec.c`), from the clone
 * to the command's own program.
 */
#include "launcher.h"
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* A change of user clears it, so it is asked for twice; a parent that died before has to be noticed by hand. */
static int die_with_parent(struct world *w) {
	struct pollfd parent = {.fd = w->child->parent_fd, .events = POLLIN};
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || poll(&parent, 1, 0) != 0) return failed(w, "prctl", "stay with", "the supervisor");
	return 0;
}

static void reset_signals(void) {
	for (int signal = 1; signal < NSIG; signal++) {
		struct {
			void (*handler)(int);
			unsigned long flags[3]; /* more than enough for the kernel's structure on every architecture */
		} action = {.handler = SIG_DFL};
		syscall(SYS_rt_sigaction, signal, &action, NULL, 8);
	}
}

static int prepare(struct world *w) {
	const struct child *child = w->child;
	if (die_with_parent(w) < 0) return -1;
	/* The supervisor's own line to serve: were it open here too, serve would not notice the supervisor's end while this process lives. */
	if (child->foreign_fds > 0) close_range(3, 3 + child->foreign_fds - 1, 0);
	reset_signals();
	/* Keyrings have no namespaces: what is in that of the agent's session (KEYCTL_JOIN_SESSION_KEYRING) is not for the container. */
	(void)syscall(SYS_keyctl, 1, NULL);
	umask(0);
	for (int fd = 0; fd < 3; fd++)
		if (dup2(child->stdio[fd], fd) < 0) return failed(w, "dup2", "set up", "the streams");
	if (!child->prepared_oom) {
		/* What the agent or the launcher is protected with is not for the container (and would defeat its memory limit). */
		w->oom_fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
		if (w->oom_fd >= 0) (void)!write(w->oom_fd, "0", 1);
	}
	if (w->request->type == FRAME_LAUNCH && w->request->flags & NS_MOUNT) {
		enum { REC_SLAVE = 1 << 14 | 1 << 19 };
		if (pin_shared_sources(w) < 0) return -1;
		if (syscall(SYS_mount, NULL, "/", NULL, REC_SLAVE, NULL) < 0) return failed(w, "mount", "separate", "the mount namespace");
		/* The root itself belongs to the new namespace now. */
		if (chdir("/") < 0) return failed(w, "chdir", "enter", "/");
	}
	w->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return w->root < 0 ? failed(w, "open", "open", "/") : 0;
}

static int exec_failed(struct world *w, const char *path) {
	const char *hint = "";
	if (errno == ENOENT && access(path, F_OK) == 0) hint = " exists, but its interpreter or loader does not";
	else if (errno == ENOEXEC) hint = " is neither a program for this machine nor a script with #!";
	else if (errno == EACCES) hint = " may not be executed by this user";
	if (errno != ENOEXEC && access(path, F_OK) < 0) errno = ENOENT;
	return fail(&w->failure, "exec", "command %s%s", path, hint);
}

/* As execvpe, but through the PATH of the container's own environment, and never through the working directory. */
static int exec_command(struct world *w) {
	char **argv = w->request->argv, **env = w->request->env, path[PATH_MAX];
	const char *search = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	if (strchr(argv[0], '/')) {
		execve(argv[0], argv, env);
		return exec_failed(w, argv[0]);
	}
	for (char **entry = env; *entry; entry++)
		if (strncmp(*entry, "PATH=", 5) == 0) search = *entry + 5;
	bool refused = false;
	for (const char *at = search; *at; at += strspn(at, ":")) {
		size_t length = strcspn(at, ":");
		if (*at == '/' && (size_t)snprintf(path, sizeof path, "%.*s/%s", (int)length, at, argv[0]) < sizeof path) {
			execve(path, argv, env);
			if (errno == EACCES) refused = true;
			else if (errno != ENOENT && errno != ENOTDIR) return exec_failed(w, path);
			else if (access(path, F_OK) == 0) return exec_failed(w, path);
		}
		at += length;
	}
	errno = refused ? EACCES : ENOENT;
	return fail(&w->failure, "exec", "command %s %s in PATH %s", argv[0], refused ? "is not executable" : "was not found", search);
}

static int report_failure(const struct world *w) {
	write_all(w->child->report_fd, &w->failure, sizeof w->failure);
	return 125;
}

/* Tells that everything before the exec went well: if nothing follows, the exec did too. */
static void announce_attempt(const struct world *w) {
	struct failure attempt = {.op = -1, .step = "attempt"};
	write_all(w->child->report_fd, &attempt, sizeof attempt);
}

static int command_main(void *argument) {
	struct world *w = argument;
	sigset_t none;
	setsid();
	if (w->child->controlling_terminal) ioctl(0, TIOCSCTTY, 0);
	umask(w->umask);
	/*
	 * Closed now, not by the exec: the path of the command is looked up before that, and /proc/self/fd/N in it would lead through a descriptor of
	 * ours to files of the host (as in CVE-2024-21626). Only the pipe for the report stays, which the exec closes.
	 */
	unsigned report = (unsigned)w->child->report_fd;
	if ((report > 3 && close_range(3, report - 1, 0) < 0) || close_range(report + 1, ~0U, 0) < 0) {
		failed(w, "close_range", "close", "descriptors");
		return report_failure(w);
	}
	announce_attempt(w);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (w->filter.blob) {
		w->failure.op = w->filter_index;
		if (install_filter(w, &w->filter) < 0) return report_failure(w);
		w->failure.op = -1;
	}
	if (w->request->flags & WITH_FILES) return close(w->child->report_fd), run_files(w->request->argv);
	exec_command(w);
	return report_failure(w);
}

/* The container's first process. Whatever fails is told to the supervisor; it alone reports. */
int container_main(void *argument) {
	const struct child *child = argument;
	const struct request *request = child->request;
	struct world w = {.child = child, .request = request, .failure.op = -1, .root = -1, .empty = -1, .oom_fd = -1, .umask = 022};
	w.new_cgroup_namespace = request->type == FRAME_EXEC || request->flags & NS_CGROUP;
	if (prepare(&w) < 0 || run_ops(&w) < 0 || die_with_parent(&w) < 0) return report_failure(&w);
	if (request->flags & WITH_PAUSE) return announce_attempt(&w), run_pause();
	if (request->type == FRAME_LAUNCH && request->flags & WITH_INIT) return run_init(command_main, &w, child->status_fd, child->report_fd);
	return command_main(&w);
}

/* Reads what the first process reports until it has exec'd or is dead. */
int read_launch_result(int report_fd, struct failure *failure) {
	struct failure next;
	bool attempted = false;
	while (RETRY(read(report_fd, &next, sizeof next)) == sizeof next) {
		attempted = strcmp(next.step, "attempt") == 0;
		if (!attempted) *failure = next;
	}
	if (attempted || failure->step[0]) return attempted ? 0 : -1;
	errno = 0;
	return fail(failure, "start", "the first process was killed before it could run the command");
}
