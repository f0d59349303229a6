/*
 * The `exec` role: starts one more command in a living container (from a LAUNCH frame: in namespaces of its own) and carries its input and output.
 * Descriptors: 0-2 the streams, 3 control lines in ("resize COLUMNS ROWS", "signal N"; its end ends the command), 4 status lines out (JSON), 5 the
 * request frame.
 */
#include "launcher.h"
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { CONTROL_FD = 3, STATUS_FD = 4, REQUEST_FD = 5 };

/* One direction of a stream: what was read and not yet written. */
struct pump {
	int from, to;
	size_t start, end;
	char data[8192];
};

static void end_pump(struct pump *pump) {
	if (pump->from >= 0) close(pump->from);
	if (pump->to >= 0) close(pump->to);
	pump->from = pump->to = -1;
	pump->start = pump->end = 0; /* what was not taken is not waited for */
}

static void move_data(struct pump *pump, bool terminal_input) {
	if (pump->start == pump->end) {
		ssize_t n = RETRY(read(pump->from, pump->data, sizeof pump->data));
		if (n < 0 && errno == EAGAIN) return;
		if (n <= 0) {
			/* The end of the input of a terminal is a character. */
			if (terminal_input) (void)!write(pump->to, "\004", 1);
			end_pump(pump);
			return;
		}
		pump->start = 0;
		pump->end = (size_t)n;
	}
	ssize_t n = RETRY(write(pump->to, pump->data + pump->start, pump->end - pump->start));
	if (n > 0) pump->start += (size_t)n;
	else if (errno != EAGAIN) end_pump(pump);
}

struct session {
	struct request request;
	struct pump pump[3];
	int pidfd, terminal, signals;
	pid_t pid;
	char control[128];
	size_t control_length;
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...) {
	va_list list;
	va_start(list, format);
	vdprintf(STATUS_FD, format, list);
	va_end(list);
}

static int exec_error(const struct failure *failure) {
	char text[2 * sizeof failure->message];
	size_t length = 0;
	for (const char *c = failure->message; *c; c++) { /* JSON text; bytes of the user's beyond ASCII pass as they are */
		if (*c == '"' || *c == '\\') text[length++] = '\\';
		text[length++] = (unsigned char)*c < ' ' ? ' ' : *c;
	}
	text[length] = '\0';
	say("{\"failed\":{\"op\":%d,\"errno\":%d,\"step\":\"%s\",\"message\":\"%s\"}}\n", failure->op, failure->err, failure->step, text);
	return 125;
}

/* SIGKILL takes along what the command started, as far as it stayed in the process group: the check of a script does not leave its children. */
static void signal_command(struct session *session, unsigned signal) {
	syscall(SYS_pidfd_send_signal, session->pidfd, signal, NULL, 0);
	if (signal == SIGKILL && session->pid > 0) kill(-session->pid, SIGKILL);
}

static void control_line(struct session *session, char *line) {
	unsigned columns, rows, signal;
	if (sscanf(line, "resize %u %u", &columns, &rows) == 2 && session->terminal >= 0) {
		resize_terminal(session->terminal, columns, rows);
	} else if (sscanf(line, "signal %u", &signal) == 1 && signal > 0 && signal < NSIG) {
		signal_command(session, signal);
	}
}

static void read_control(struct session *session) {
	size_t room = sizeof session->control - 1 - session->control_length;
	ssize_t n = RETRY(read(CONTROL_FD, session->control + session->control_length, room));
	if (n <= 0) { /* whoever asked for the command is gone */
		signal_command(session, SIGKILL);
		close(CONTROL_FD);
		session->control_length = sizeof session->control;
		return;
	}
	session->control_length += (size_t)n;
	session->control[session->control_length] = '\0';
	for (char *end; (end = strchr(session->control, '\n'));) {
		*end = '\0';
		control_line(session, session->control);
		session->control_length -= (size_t)(end + 1 - session->control);
		memmove(session->control, end + 1, session->control_length + 1);
	}
	if (session->control_length == sizeof session->control - 1) session->control_length = 0; /* no line is that long */
}

/* Carries the streams until the command has ended and its output is drained. Returns its wait status. */
static int relay(struct session *session) {
	int status = 0;
	bool ended = false;
	for (;;) {
		struct pollfd polls[5] = {{session->signals, POLLIN, 0}, {session->control_length < sizeof session->control ? CONTROL_FD : -1, POLLIN, 0}};
		for (int i = 0; i < 3; i++) {
			struct pump *pump = &session->pump[i];
			bool full = pump->start != pump->end;
			polls[i + 2] = (struct pollfd){full ? pump->to : pump->from, full ? POLLOUT : POLLIN, 0};
		}
		bool pending = session->pump[1].start != session->pump[1].end || session->pump[2].start != session->pump[2].end;
		int ready = poll(polls, 5, ended && !pending ? 0 : -1);
		if (ready < 0 && errno != EINTR) return status;
		for (int i = 0; i < 3; i++)
			if (polls[i + 2].revents) move_data(&session->pump[i], i == 0 && session->terminal >= 0);
		if (polls[1].revents) read_control(session);
		/* Ended and nothing more to read: what still holds the pipes open is in the background, and not waited for. */
		if (ended && !pending && !polls[3].revents && !polls[4].revents) return status;
		if (polls[0].revents) {
			struct signalfd_siginfo info;
			(void)!read(session->signals, &info, sizeof info);
			if (!ended && waitpid(session->pid, &status, WNOHANG | __WALL) == session->pid) {
				ended = true;
				session->pid = 0; /* the number may be another process's from now on */
			}
		}
	}
}

static uint8_t *read_request(uint32_t *length) {
	uint8_t *frame = NULL;
	size_t got = 0;
	if (read(REQUEST_FD, length, 4) == 4 && *length <= MAX_FRAME) frame = malloc(*length * 3ULL + 64);
	while (frame && got < *length) {
		ssize_t n = RETRY(read(REQUEST_FD, frame + got, *length - got));
		if (n <= 0) return NULL;
		got += (size_t)n;
	}
	close(REQUEST_FD);
	return frame;
}

/* Opens, while the host's file systems are still there, what the new process needs to join the container's cgroups. */
static int open_host_side(struct session *session, int join_fds[], int max, int *into, struct failure *failure) {
	struct request *request = &session->request;
	struct cursor cursor = request->ops;
	struct op op;
	*into = *request->clone_into ? open(request->clone_into, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (*request->clone_into && *into < 0) return fail(failure, "open", "cannot open the cgroup %s", request->clone_into);
	for (uint32_t i = 0; i < request->op_count && take_op(&cursor, &op); i++) {
		failure->op = (int32_t)i;
		if (op.code == OP_JOIN_CGROUP) {
			errno = E2BIG;
			if ((int)i >= max || (join_fds[i] = open(op.text[0], O_WRONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
				return fail(failure, "open", "cannot open the cgroup %s", op.text[0]);
		} else if (op.code == OP_OOM_SCORE_ADJ) {
			CLEANUP_FD int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
			if (dprintf(fd, "%d", (int)op.number[0] - 1000) < 0) return fail(failure, "write", "cannot set oom_score_adj");
		}
	}
	failure->op = -1;
	return 0;
}

/* Enters the namespaces of exactly the process that was launched: a pid that was reused since has another start time. */
static int enter_namespaces(struct session *session, int *target, struct failure *failure) {
	*target = (int)syscall(SYS_pidfd_open, (pid_t)session->request.pid, 0);
	if (*target < 0 || process_start((pid_t)session->request.pid, false) != session->request.start) {
		errno = ESRCH;
		return fail(failure, "enter", "the container is not running");
	}
	/* Not the cgroup namespace: from inside it nobody may be moved into it. The command's process enters it once it has joined. */
	int others = other_namespaces((pid_t)session->request.pid, session->request.start, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET);
	return others < 0 || (others && setns(*target, others) < 0) ? fail(failure, "setns", "cannot enter the container's namespaces") : 0;
}

static int start_terminal(struct session *session, int stdio[3], struct failure *failure) {
	int peer = open_terminal(session->request.columns, session->request.rows, &session->terminal, failure);
	for (int i = 0; i < 3; i++) stdio[i] = peer;
	session->pump[0] = (struct pump){.from = 0, .to = fcntl(session->terminal, F_DUPFD_CLOEXEC, 6)};
	session->pump[1] = (struct pump){.from = session->terminal, .to = 1};
	return peer < 0 ? -1 : 0;
}

static int open_pipes(struct session *session, int stdio[3], struct failure *failure) {
	for (int i = 0; i < 3; i++) {
		int ends[2]; /* real pipes: a command can open /dev/stdout again, which a socket refuses */
		if (pipe2(ends, O_CLOEXEC) < 0) return fail(failure, "pipe", "cannot make pipes");
		stdio[i] = ends[i == 0 ? 0 : 1];
		int ours = ends[i == 0 ? 1 : 0];
		fcntl(ours, F_SETFL, O_NONBLOCK);
		session->pump[i] = i == 0 ? (struct pump){.from = 0, .to = ours} : (struct pump){.from = ours, .to = i};
	}
	return 0;
}

static int start_command(struct session *session, struct failure *failure) {
	enum { MAX_JOINS = 64 };
	int join_fds[MAX_JOINS], report[2], into = -1;
	bool enters = session->request.type == FRAME_EXEC, terminal = session->request.flags & WITH_TTY;
	struct child child = {.request = &session->request, .status_fd = -1, .terminal_fd = -1, .join_fds = enters ? join_fds : NULL, .user_fd = -1, .target_fd = -1, .prepared_oom = enters, .controlling_terminal = terminal};
	if (!enters && session->request.flags & ~(uint32_t)(NS_ALL | WITH_STDIN)) return fail(failure, "decode", "only namespaces and input can be asked for here");
	if (enters && open_host_side(session, join_fds, MAX_JOINS, &into, failure) < 0) return -1;
	child.parent_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (pipe2(report, O_CLOEXEC) < 0) return fail(failure, "pipe", "cannot make a pipe");
	child.report_fd = report[1];
	if (enters && enter_namespaces(session, &child.target_fd, failure) < 0) return -1;
	if (terminal ? start_terminal(session, child.stdio, failure) : open_pipes(session, child.stdio, failure)) return -1;
	session->pid = spawn(&(struct spawn){.flags = enters ? 0 : namespace_flags(session->request.flags), .cgroup_fd = into, .main = container_main, .argument = &child});
	if (session->pid < 0) return fail(failure, "clone", "cannot start a process in the container");
	session->pidfd = (int)syscall(SYS_pidfd_open, session->pid, 0);
	close(report[1]);
	for (int i = 0; i < 3; i++)
		if (i == 0 || child.stdio[i] != child.stdio[0]) close(child.stdio[i]);
	return read_launch_result(report[0], failure);
}

int run_exec(void) {
	struct session session = {.terminal = -1, .pidfd = -1};
	struct failure failure = {.op = -1};
	sigset_t mask;
	uint32_t length;
	for (int i = 0; i < 3; i++) session.pump[i] = (struct pump){.from = -1, .to = -1};
	uint8_t *frame = read_request(&length);
	if (!frame) {
		fprintf(stderr, "tepui-launcher exec: no request on descriptor %d\n", REQUEST_FD);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	session.signals = signalfd(-1, &mask, SFD_CLOEXEC);
	for (int fd = 0; fd < 3; fd++) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	for (int fd = CONTROL_FD; fd <= STATUS_FD; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (decode_request(frame, length, &session.request, &failure) < 0 || start_command(&session, &failure) < 0) return exec_error(&failure);
	say("{\"pid\":%d}\n", session.pid);
	int status = relay(&session);
	if (WIFSIGNALED(status)) say("{\"signal\":%d}\n", WTERMSIG(status));
	else say("{\"exitCode\":%d}\n", WEXITSTATUS(status));
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
