/*
 * The resident launcher: a single-threaded loop on a Unix socket that forks one supervisor per container and passes on what they tell.
 * It keeps no truth of its own: supervisors outlive it, and the next `serve` finds them by their state files in `containers/`.
 */
#include "launcher.h"
#include <dirent.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum kind { LISTENER, CLIENT, CONTAINER };
enum { IDLE_MS = 3000, LOST_MS = 5 };

/* What epoll points to; the other structures begin with it. */
struct source {
	enum kind kind;
	int fd;
	struct source *next;
};
struct client {
	struct source source;
	uint32_t serial, header, length;
	size_t got, map_size;
	uint8_t *frame;
	struct output output;
	bool waiting; /* for the socket to take more */
};
enum state { LAUNCHING, RUNNING, EXITED, LOST };
struct container {
	struct source source; /* fd: the supervisor's pipe, or its pidfd when an earlier serve forked it */
	enum state state;
	bool adopted, started;
	pid_t supervisor;
	uint32_t client, request;
	uint64_t lost_since;
	struct target target;
	char id[MAX_ID + 1];
	char *exit_record, *cgroup;
};
static struct server {
	int epoll, runtime;
	uint32_t serials;
	struct source *sources;
	struct source listener;
	unsigned clients, containers, lost;
	bool stop;
} server;

static void add_source(struct source *source, enum kind kind, int fd) {
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
	source->kind = kind;
	source->fd = fd;
	source->next = server.sources;
	server.sources = source;
	epoll_ctl(server.epoll, EPOLL_CTL_ADD, fd, &event);
}

static void remove_source(struct source *source) {
	for (struct source **at = &server.sources; *at; at = &(*at)->next) {
		if (*at != source) continue;
		*at = source->next;
		break;
	}
	if (source->fd >= 0) close(source->fd);
	free(source);
}

/* --- output: frames are put together in the client's buffer and sent as far as the socket takes them --- */

static void drop_client(struct client *client) {
	if (client->frame) munmap(client->frame, client->map_size);
	free(client->output.data);
	server.clients--;
	remove_source(&client->source);
}

static void flush_client(struct client *client) {
	ssize_t n = RETRY(send(client->source.fd, client->output.data, client->output.length, MSG_NOSIGNAL | MSG_DONTWAIT));
	if (n > 0) {
		client->output.length -= (size_t)n;
		memmove(client->output.data, client->output.data + n, client->output.length);
	} else if (n < 0 && errno != EAGAIN) {
		shutdown(client->source.fd, SHUT_RDWR); /* the loop sees its end and drops it */
		client->output.length = 0;
	}
	if (client->waiting == (client->output.length > 0)) return;
	client->waiting = client->output.length > 0;
	struct epoll_event event = {.events = client->waiting ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = client};
	epoll_ctl(server.epoll, EPOLL_CTL_MOD, client->source.fd, &event);
}

static void end_frame(struct client *client, size_t start) {
	if (!finish_frame(&client->output, start)) shutdown(client->source.fd, SHUT_RDWR); /* it does not read: it has to connect again and ask for the list */
	else flush_client(client);
}

static void put_failure(struct client *client, uint32_t request, const struct failure *failure) {
	end_frame(client, start_failure(&client->output, request, failure));
}

static void broadcast(uint32_t type, const char *id, const char *record) {
	for (struct source *source = server.sources; source; source = source->next) {
		struct client *client = (struct client *)source;
		if (source->kind != CLIENT) continue;
		size_t frame = start_frame(&client->output, type, 0);
		put_text(&client->output, id);
		if (record) put_text(&client->output, record);
		end_frame(client, frame);
	}
}

/* --- containers --- */

static struct container *find_container(const char *id) {
	for (struct source *source = server.sources; source; source = source->next)
		if (source->kind == CONTAINER && strcmp(((struct container *)source)->id, id) == 0) return (struct container *)source;
	return NULL;
}

static struct client *find_client(uint32_t serial) {
	for (struct source *at = server.sources; at; at = at->next)
		if (at->kind == CLIENT && ((struct client *)at)->serial == serial) return (struct client *)at;
	return NULL;
}

static struct container *new_container(const char *id, int fd, const char *exit_record, const char *cgroup) {
	struct container *container = calloc(1, sizeof *container);
	if (!container) return NULL;
	snprintf(container->id, sizeof container->id, "%s", id);
	container->exit_record = strdup(exit_record);
	container->cgroup = strdup(cgroup);
	container->target.cgroup = container->cgroup;
	add_source(&container->source, CONTAINER, fd);
	server.containers++;
	return container;
}

static void forget(struct container *container) {
	char path[MAX_ID + 16];
	snprintf(path, sizeof path, "containers/%s", container->id);
	unlinkat(server.runtime, path, 0);
	attach_name(&container->target, path);
	if (container->target.flags & (WITH_TTY | WITH_STDIN)) unlinkat(server.runtime, path, 0);
	broadcast(FRAME_GONE, container->id, NULL);
	free(container->exit_record);
	free(container->cgroup);
	server.containers--;
	remove_source(&container->source);
}

/* A supervisor that died without a word was killed: its container is killed too, and only then reported lost. */
static void end_lost(struct container *container) {
	struct failure failure = {.op = -1, .step = "supervise", .message = "the supervisor was killed during the launch"};
	struct client *client = find_client(container->client);
	char record[MAX_ID + 128];
	uint64_t waited = clock_ms(CLOCK_MONOTONIC) - container->lost_since;
	if (signal_container(&container->target, SIGKILL) > 0 && waited < 10000) return;
	server.lost--;
	if (!container->started) { /* there was no container yet: it failed to start, and did not end */
		drop_exit_record(container->exit_record);
		if (client) put_failure(client, container->request, &failure);
		return forget(container);
	}
	snprintf(record, sizeof record, "{\"containerId\":\"%s\",\"finishedAtMs\":%llu,\"lost\":true}\n", container->id,
		(unsigned long long)clock_ms(CLOCK_REALTIME));
	replace_exit_record(container->exit_record, record);
	broadcast(FRAME_EXIT, container->id, record);
	forget(container);
}

static void supervisor_ended(struct container *container) {
	char record[MAX_RECORD + 1];
	epoll_ctl(server.epoll, EPOLL_CTL_DEL, container->source.fd, NULL);
	if (container->state == EXITED) return forget(container);
	if (container->started && read_exit_record(container->exit_record, record)) {
		broadcast(FRAME_EXIT, container->id, record);
		return forget(container);
	}
	container->state = LOST;
	container->lost_since = clock_ms(CLOCK_MONOTONIC);
	server.lost++;
}

static void container_readable(struct container *container) {
	struct report report;
	if (container->adopted || RETRY(read(container->source.fd, &report, sizeof report)) != sizeof report) return supervisor_ended(container);
	struct client *client = find_client(container->client);
	if (report.kind == REPORT_EXITED) {
		container->state = EXITED;
		broadcast(FRAME_EXIT, container->id, report.failure.message);
	} else if (report.kind == REPORT_FAILED) {
		container->state = EXITED;
		if (client) put_failure(client, container->request, &report.failure);
	} else {
		container->state = RUNNING;
		container->started = true;
		container->target.pid = report.pid;
		container->target.start = report.start;
		if (!client) return;
		size_t frame = start_frame(&client->output, FRAME_OK, container->request);
		put_number(&client->output, (uint32_t)report.pid, 4);
		put_number(&client->output, report.start, 8);
		end_frame(client, frame);
	}
}

static int launch(struct client *client, uint8_t *frame, uint32_t length, size_t map_size, struct failure *failure) {
	struct request request;
	char cgroup[PATH_MAX];
	int report[2];
	if (decode_request(frame, length, &request, failure) < 0) return -1;
	errno = EEXIST;
	if (find_container(request.container)) return fail(failure, "launch", "container %s", request.container);
	if (pipe2(report, O_CLOEXEC) < 0) return fail(failure, "pipe", "cannot make a pipe");
	pid_t pid = fork();
	if (pid == 0) supervise(&request, frame, map_size, report[1], server.runtime);
	close(report[1]), request_cgroup(&request, cgroup);
	struct container *container = pid < 0 ? NULL : new_container(request.container, report[0], request.exit_record, cgroup);
	if (!container) {
		close(report[0]);
		return fail(failure, "fork", "cannot start a supervisor");
	}
	container->supervisor = pid;
	container->client = client->serial;
	container->request = request.id;
	container->target.flags = request.flags;
	return 0;
}

/* --- requests --- */

static void answer(struct client *client, uint32_t request, uint32_t number, const char *text) {
	size_t frame = start_frame(&client->output, FRAME_OK, request);
	put_number(&client->output, number, 4);
	if (text) put_text(&client->output, text);
	end_frame(client, frame);
}

static void answer_list(struct client *client, uint32_t request) {
	size_t frame = start_frame(&client->output, FRAME_OK, request);
	put_number(&client->output, server.containers, 4);
	for (struct source *source = server.sources; source; source = source->next) {
		struct container *container = (struct container *)source;
		if (source->kind != CONTAINER) continue;
		put_text(&client->output, container->id);
		put_number(&client->output, (uint32_t)container->target.pid, 4);
		put_number(&client->output, container->target.start, 8);
		put_number(&client->output, (uint32_t)container->supervisor, 4);
		put_number(&client->output, container->state, 4);
	}
	end_frame(client, frame);
}

static void answer_signal(struct client *client, uint32_t request, struct cursor *cursor) {
	struct failure failure = {.op = -1};
	const char *id = take_text(cursor);
	int signal = (int)take_number(cursor, 4), count = 0;
	struct container *container = find_container(id);
	errno = EINVAL;
	if ((cursor->problem || signal < 0 || signal >= NSIG) && fail(&failure, "signal", "signal %d", signal)) return put_failure(client, request, &failure);
	/* During its launch a container has no process known here: without its supervisor it does not come to life. */
	if (container && container->state == LAUNCHING && signal == SIGKILL) count = kill(container->supervisor, SIGKILL) == 0;
	else if (container && container->state == RUNNING) count = signal_container(&container->target, signal);
	answer(client, request, (uint32_t)count, NULL);
}

static void handle_frame(struct client *client, uint8_t *frame, uint32_t length, size_t map_size) {
	struct cursor cursor = {frame, frame + length, NULL};
	struct failure failure = {.op = -1, .err = EPROTO, .step = "decode", .message = "the frame's type is unknown"};
	uint32_t type = (uint32_t)take_number(&cursor, 4), request = (uint32_t)take_number(&cursor, 4);
	switch (type) {
	case FRAME_PING: return answer(client, request, PROTOCOL_VERSION, BUILD_ID);
	case FRAME_LAUNCH:
		if (launch(client, frame, length, map_size, &failure) < 0) put_failure(client, request, &failure);
		return;
	case FRAME_SIGNAL: return answer_signal(client, request, &cursor);
	case FRAME_LIST: return answer_list(client, request);
	case FRAME_SHUTDOWN:
		server.stop = server.containers == 0;
		return answer(client, request, server.stop, NULL);
	default: put_failure(client, request, &failure);
	}
}

/* What a killed agent still has in its socket comes first: its successor must not be told of fewer containers than there will be. */
static void drain_others(const struct client *asking);
enum { MAX_DRAINED = 4096 };

/* Whether there may be more to read at once; not when the client is gone. */
static bool client_readable(struct client *client) {
	/* First the length, into `header`; then a mapping of its own, which a supervisor can give back after the start. */
	void *into = client->frame ? (void *)(client->frame + client->got) : (void *)((uint8_t *)&client->header + client->got);
	ssize_t n = RETRY(recv(client->source.fd, into, (client->frame ? client->length : 4) - client->got, MSG_DONTWAIT));
	if (n < 0 && errno == EAGAIN) return false;
	if (n <= 0) return drop_client(client), false;
	client->got += (size_t)n;
	if (!client->frame) {
		if (client->got < 4) return true;
		client->length = client->header;
		client->map_size = client->length * 3UL + 64;
		client->frame = client->length < 8 || client->length > MAX_FRAME ? MAP_FAILED
			: mmap(NULL, client->map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		client->got = 0;
		if (client->frame != MAP_FAILED) return true;
		client->frame = NULL;
		return drop_client(client), false;
	}
	if (client->got < client->length) return true;
	uint8_t *frame = client->frame;
	client->frame = NULL, client->got = 0;
	if (*(uint32_t *)(void *)frame == FRAME_LIST) drain_others(client);
	handle_frame(client, frame, client->length, client->map_size);
	munmap(frame, client->map_size);
	return true;
}

static void drain_others(const struct client *asking) {
	static bool draining;
	if (draining) return; /* a LIST among what is drained: it must not come back to `asking` */
	draining = true;
	for (struct source *source = server.sources, *next; source; source = next) {
		next = source->next;
		if (source->kind != CLIENT || source == &asking->source) continue;
		for (int steps = 0; steps < MAX_DRAINED && client_readable((struct client *)source); steps++) {}
	}
	draining = false;
}

static void accept_client(void) {
	int fd = accept4(server.listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client = fd < 0 ? NULL : calloc(1, sizeof *client);
	if (!client) return close_fd(&fd);
	client->serial = ++server.serials;
	server.clients++;
	add_source(&client->source, CLIENT, fd);
}

/* --- start --- */

/* Takes over a container of an earlier serve; how one ended that ended meanwhile is in its exit record. */
static void adopt(const char *id) {
	char path[MAX_ID + 16], text[MAX_STATE];
	struct supervised state;
	snprintf(path, sizeof path, "containers/%s", id);
	if (!read_state(server.runtime, path, &state, text)) {
		unlinkat(server.runtime, path, 0); /* the supervisor died writing it, and took its container along */
		return;
	}
	int pidfd = (int)syscall(SYS_pidfd_open, state.supervisor, 0);
	bool alive = pidfd >= 0 && process_start(state.supervisor, false) == state.supervisor_start;
	struct container *container = new_container(id, pidfd, state.exit_record, state.cgroup);
	if (!container) return;
	container->adopted = container->started = true;
	container->state = RUNNING;
	container->supervisor = state.supervisor;
	container->target = (struct target){state.pid, state.start, state.flags, container->cgroup};
	if (!alive) supervisor_ended(container);
}

static void adopt_all(void) {
	int fd = openat(server.runtime, "containers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		if (valid_container_id(entry->d_name)) adopt(entry->d_name);
	if (dir) closedir(dir);
}

static void run(void) {
	while (!server.stop) {
		struct epoll_event event;
		bool idle = server.clients == 0 && server.containers == 0;
		int ready = epoll_wait(server.epoll, &event, 1, server.lost ? LOST_MS : idle ? IDLE_MS : -1);
		if (ready == 0 && idle) return;
		for (struct source *source = server.sources, *next; server.lost && source; source = next) {
			next = source->next;
			if (source->kind == CONTAINER && ((struct container *)source)->state == LOST) end_lost((struct container *)source);
		}
		if (ready <= 0) continue;
		struct source *source = event.data.ptr;
		if (source->kind == LISTENER) accept_client();
		else if (source->kind == CONTAINER) container_readable((struct container *)source);
		else if (event.events & EPOLLOUT) flush_client((struct client *)source);
		else client_readable((struct client *)source);
	}
}

int serve(int runtime_fd, int listener) {
	server.runtime = runtime_fd;
	server.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server.epoll < 0) return 1;
	add_source(&server.listener, LISTENER, listener);
	adopt_all();
	run();
	unlinkat(server.runtime, "launcher.sock", 0);
	return 0;
}
