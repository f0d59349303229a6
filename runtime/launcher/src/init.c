/*
 * What stays at pid 1 of a container's pid namespace: the tiny init of a container that asked for one, and the process that keeps what the
 * containers of a task share.
 */
#include "launcher.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char *arguments, *arguments_end;

void find_arguments(int argc, char **argv) {
	arguments = argv[0];
	arguments_end = argc > 0 ? argv[argc - 1] + strlen(argv[argc - 1]) : argv[0];
}

/* From /proc/PID/cmdline: paths of the host are not for the container. */
static void hide_arguments(const char *name) {
	size_t room = (size_t)(arguments_end - arguments);
	memset(arguments, 0, room);
	snprintf(arguments, room, "%s", name);
}

/* Of what is open from 3 on, only the two (-1: none) stay. */
static void keep_only(int one, int other) {
	one = one < 0 ? 2 : one, other = other < 0 ? 2 : other;
	unsigned low = (unsigned)(one < other ? one : other), high = (unsigned)(one < other ? other : one);
	if (low > 3) close_range(3, low - 1, 0);
	if (high > low + 1) close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0U, 0);
}

/*
 * The tiny init: pid 1 of a container that asked for one. It starts the command, forwards to it what it is sent, reaps orphans, and ends
 * with the command. A pid 1 cannot die by a signal of its own, so the true wait status goes to the supervisor over `status_fd`.
 */
int run_init(int (*command)(void *), void *argument, int status_fd, int report_fd) {
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	prctl(PR_SET_NAME, "tepui-init");
	hide_arguments("tepui-init"); /* before there is anybody to read them */
	/* Before there is a command that could look through /proc/1/fd; the rest as soon as the command has its copies. */
	keep_only(status_fd, report_fd);
	pid_t child = spawn(&(struct spawn){.cgroup_fd = -1, .main = command, .argument = argument, .share_memory = true});
	if (child < 0) return 125;
	/* Only the status pipe stays: the command's outputs must close when the command's processes are gone. */
	if (status_fd > 0) close_range(0, (unsigned)status_fd - 1, 0);
	close_range((unsigned)status_fd + 1, ~0U, 0);
	for (;;) {
		int signal, status;
		if (sigwait(&all, &signal) != 0) continue;
		if (signal != SIGCHLD) kill(child, signal);
		for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0;) {
			if (pid != child) continue;
			write_all(status_fd, &status, sizeof status);
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		}
	}
}

static int exec_command(void *argument) {
	char **argv = argument;
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(argv[0], argv);
	dprintf(2, "tepui-init: cannot execute %s: %s\n", argv[0], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}

/* The role `init COMMAND [ARG...]`: the tiny init for containers that somebody else makes (an OCI runtime). Ends as the command ended, 128 + N for signal N. */
int run_init_role(char **argv) {
	size_t count = 0;
	while (argv[count]) count++;
	char **command = calloc(count + 1, sizeof *command);
	if (!command) return 125;
	/* The originals are wiped: they would show in /proc/1/cmdline. */
	for (size_t i = 0; i < count; i++)
		if (!(command[i] = strdup(argv[i]))) return 125;
	return run_init(exec_command, command, -1, -1);
}

/* Holds namespaces and does nothing, until it is killed: without a command, nothing of the host's or of an image's has to be executed. */
int run_pause(void) {
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	prctl(PR_SET_NAME, "tepui-pause");
	hide_arguments("tepui-pause");
	close_range(0, ~0U, 0);
	for (int signal;;) {
		if (sigwait(&all, &signal) != 0 || signal != SIGCHLD) continue;
		while (waitpid(-1, NULL, WNOHANG | __WALL) > 0) continue;
	}
}
