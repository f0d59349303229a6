/*
 * The `dial` role: one TCP connection made inside a container's network namespace, carried to whoever asked. Arguments: PID START PORT ADDRESS...;
 * addresses are numeric and tried in order. Descriptors: 3 the byte stream (a socket, both ways), 4 status lines out (JSON: {"connected":"ADDRESS"}
 * or {"failed":{...}}, also for a connection that breaks later: then 3 ends once 4 is closed). Whoever asked closes its end of 4 to end everything at once.
 */
#include "launcher.h"
#include <arpa/inet.h>
#include <grp.h>
#include <linux/capability.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum { STREAM_FD = 3, STATUS_FD = 4, NOBODY = 65534 };
enum { ENDED = 0, USAGE = 2, NOT_RUNNING = 3, NOT_CONNECTED = 4, BROKEN = 5 };

/* One direction: what was read and not yet written. */
struct flow {
	int from, to; /* from is -1 once it has ended */
	size_t start, end;
	char data[64 << 10];
};

static int told(int exit_code, const char *step, const char *object) {
	int err = errno;
	dprintf(STATUS_FD, "{\"failed\":{\"errno\":%d,\"step\":\"%s\",\"message\":\"%s: %s\"}}\n", err, step, object, strerror(err));
	return exit_code;
}

static bool number(const char *text, uint64_t most, uint64_t *value) {
	char *end;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && errno == 0 && *value > 0 && *value <= most;
}

static bool parse_address(const char *text, uint16_t port, struct sockaddr_storage *address, socklen_t *length) {
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	memset(address, 0, sizeof *address);
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		*length = sizeof *v4;
		return true;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1) return false;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	*length = sizeof *v6;
	return true;
}

/* Exactly the process that was launched: the descriptor pins it, and a pid that was reused since has another start time. */
static int enter_network(pid_t pid, uint64_t start) {
	CLEANUP_FD int target = (int)syscall(SYS_pidfd_open, pid, 0);
	if (target < 0) return -1;
	if (process_start(pid, false) != start) {
		errno = ESRCH;
		return -1;
	}
	int others = other_namespaces(pid, start, CLONE_NEWNET);
	return others <= 0 ? others : setns(target, others);
}

/* What comes over the connection is the container's: nothing that is left here may be of use to it. The order: groups while there is CAP_SETGID. */
static int drop_privileges(void) {
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {{0}};
	bool nobody = setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0;
	/* In a user namespace of one id there is no nobody: without its capabilities root is no more than the user whose agent this is. */
	if (!nobody && !in_own_user_namespace()) return -1;
	if (syscall(SYS_capset, &header, none) < 0) return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
	/* The change of user set it back. */
	return prctl(PR_SET_DUMPABLE, 0);
}

/* A connected socket, or -1 with errno; gives up when nobody wants it any more. */
static int connect_to(const struct sockaddr_storage *address, socklen_t length) {
	int one = 1, err = 0;
	socklen_t size = sizeof err;
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) return -1;
	if (connect(fd, (const struct sockaddr *)address, length) < 0) {
		struct pollfd polls[2] = {{fd, POLLOUT, 0}, {STATUS_FD, 0, 0}};
		err = errno;
		if (err == EINPROGRESS && RETRY(poll(polls, 2, -1)) > 0) {
			if (polls[1].revents) _exit(ENDED);
			if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0) err = errno;
		}
	}
	if (err) {
		close(fd);
		errno = err;
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

/* Moves what there is to move; the end of input is passed on once everything before it is. -1: the connection is broken. */
static int move(struct flow *flow) {
	if (flow->start == flow->end) {
		ssize_t n = RETRY(read(flow->from, flow->data, sizeof flow->data));
		if (n < 0) return errno == EAGAIN ? 0 : -1;
		if (n == 0) {
			shutdown(flow->to, SHUT_WR);
			flow->from = -1;
			return 0;
		}
		flow->start = 0;
		flow->end = (size_t)n;
	}
	ssize_t n = RETRY(send(flow->to, flow->data + flow->start, flow->end - flow->start, MSG_NOSIGNAL));
	if (n < 0) return errno == EAGAIN ? 0 : -1;
	flow->start += (size_t)n;
	return 0;
}

/* Whoever asked has seen why, and reads the end of the stream after it: it cannot take a break for an end. */
static int broken(int err) {
	struct pollfd asker = {STATUS_FD, 0, 0};
	errno = err;
	told(BROKEN, "relay", "the connection broke");
	RETRY(poll(&asker, 1, -1));
	return BROKEN;
}

/* What the container's side gave before the connection broke is delivered: only what was on its way there is lost. */
static int carry(int connection) {
	static struct flow flows[2];
	struct flow *there = &flows[0], *back = &flows[1];
	int err = 0;
	there->from = back->to = STREAM_FD;
	there->to = back->from = connection;
	while (there->from >= 0 || back->from >= 0) {
		struct pollfd polls[3] = {[2] = {STATUS_FD, 0, 0}};
		for (int i = 0; i < 2; i++) {
			bool full = flows[i].start != flows[i].end;
			polls[i] = (struct pollfd){full ? flows[i].to : flows[i].from, full ? POLLOUT : POLLIN, 0};
		}
		if (RETRY(poll(polls, 3, -1)) < 0) return told(BROKEN, "poll", "wait for the connection");
		if (polls[2].revents) return ENDED;
		if (polls[0].revents && move(there) < 0) {
			err = errno;
			there->from = -1;
			there->start = there->end = 0;
		}
		if (polls[1].revents && move(back) < 0) return broken(err ? err : errno);
	}
	return err ? broken(err) : ENDED;
}

int run_dial(int count, char **arguments) {
	uint64_t pid, start, port;
	struct sockaddr_storage address;
	socklen_t length;
	bool valid = count >= 4 && number(arguments[0], INT32_MAX, &pid) && number(arguments[1], UINT64_MAX, &start) &&
		number(arguments[2], 65535, &port);
	for (int i = 3; valid && i < count; i++) valid = parse_address(arguments[i], (uint16_t)port, &address, &length);
	if (!valid) {
		fprintf(stderr, "usage: tepui-launcher dial PID START_TIME PORT ADDRESS...\n");
		return USAGE;
	}
	signal(SIGPIPE, SIG_IGN);
	fcntl(STREAM_FD, F_SETFL, O_NONBLOCK);
	if (enter_network((pid_t)pid, start) < 0) return told(NOT_RUNNING, "enter", "the container is not running");
	if (drop_privileges() < 0) return told(NOT_CONNECTED, "drop", "cannot drop privileges");
	int first_error = 0;
	for (int i = 3; i < count; i++) {
		parse_address(arguments[i], (uint16_t)port, &address, &length);
		int connection = connect_to(&address, length);
		if (connection < 0) {
			if (!first_error) first_error = errno;
			continue;
		}
		dprintf(STATUS_FD, "{\"connected\":\"%s\"}\n", arguments[i]);
		return carry(connection);
	}
	errno = first_error;
	return told(NOT_CONNECTED, "connect", arguments[3]);
}
