/*
 * Attaching to a container that has a terminal or an open standard input: a socket of the supervisor's, on which any number of clients (up to
 * CLIENTS) give input and get output. Output is one piece at a time, shared by all; no more is read from the container until all have taken it.
 * A client that has not within HOLD_MS is dropped: that is the longest that anybody can hold the container up.
 */
#include "launcher.h"
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

enum { CLIENTS = MAX_ATTACH_POLLS - 2, HISTORY = 8192, INPUT = 4096, HOLD_MS = 1000 };
enum kind { TO_STDIN, TO_STDOUT, TO_STDERR, END, RESIZE, HELLO, CLOSE_STDIN = 255 };
enum hello { WANTS_OUTPUT = 1, WANTS_HISTORY = 2 };

struct attached {
	int fd; /* -1: free */
	bool wants_output;
	size_t sent;        /* of the piece */
	uint32_t head, got; /* of the frame that is coming in */
	uint32_t left, small_length;
	uint8_t small[8];
};

static struct {
	int listener, input; /* input: a pipe or the terminal's master, -1 once it is closed */
	int master, peer;    /* the peer stays open here: without any, the terminal would hang up between two of the container's processes */
	struct attached clients[CLIENTS];
	uint64_t held_since;
	size_t piece_length, input_start, input_end;
	uint64_t history_length;
	uint8_t piece[4 + ATTACH_PIECE];
	char waiting[INPUT], history[HISTORY];
} self = {.listener = -1, .input = -1, .master = -1, .peer = -1};

static uint64_t now_ms(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static size_t put_head(uint8_t *to, enum kind kind, size_t length) {
	uint32_t head = (uint32_t)kind | (uint32_t)length << 8;
	memcpy(to, &head, sizeof head);
	return sizeof head;
}

static void drop(struct attached *client) {
	close(client->fd);
	client->fd = -1;
}

static bool is_behind(const struct attached *client) {
	return client->fd >= 0 && client->wants_output && client->sent < self.piece_length;
}

static void send_piece(struct attached *client) {
	ssize_t n = RETRY(send(client->fd, self.piece + client->sent, self.piece_length - client->sent, MSG_DONTWAIT | MSG_NOSIGNAL));
	if (n >= 0) client->sent += (size_t)n;
	else if (errno != EAGAIN) drop(client);
}

/* Whether somebody has not taken the piece yet. Those who do not in time are dropped here; not those who were waiting for us on a busy machine. */
bool attach_held(void) {
	bool held = false, late = self.held_since && now_ms() - self.held_since > HOLD_MS;
	for (int i = 0; i < CLIENTS; i++) {
		struct attached *client = &self.clients[i];
		if (late && is_behind(client)) send_piece(client);
		if (!is_behind(client)) continue;
		if (late) drop(client);
		else held = true;
	}
	if (!held) self.held_since = 0;
	return held;
}

static void offer_piece(enum kind kind, const char *data, size_t length) {
	self.piece_length = put_head(self.piece, kind, length);
	memcpy(self.piece + self.piece_length, data, length);
	self.piece_length += length;
	self.held_since = now_ms();
	for (int i = 0; i < CLIENTS; i++) {
		if (self.clients[i].fd < 0 || !self.clients[i].wants_output) continue;
		self.clients[i].sent = 0;
		send_piece(&self.clients[i]);
	}
}

/* At most ATTACH_PIECE bytes, and only while nothing is held. */
void attach_output(int stream, const char *data, size_t length) {
	bool wanted = false;
	if (self.listener < 0) return;
	for (size_t i = 0; self.master >= 0 && i < length; i++) self.history[(self.history_length + i) % HISTORY] = data[i];
	self.history_length += length;
	for (int i = 0; i < CLIENTS; i++) wanted = wanted || (self.clients[i].fd >= 0 && self.clients[i].wants_output);
	if (wanted) offer_piece(stream == 0 ? TO_STDOUT : TO_STDERR, data, length);
}

/* What a terminal showed last, for somebody new. It is small, and fits into a fresh socket. */
static void send_history(struct attached *client) {
	uint8_t frame[4 + HISTORY];
	uint64_t at = self.history_length > HISTORY ? self.history_length - HISTORY : 0;
	if (at > 0) /* it was cut somewhere: begin with a whole line */
		for (uint64_t line = at; line < self.history_length; line++)
			if (self.history[line % HISTORY] == '\n') {
				at = line + 1;
				break;
			}
	size_t length = put_head(frame, TO_STDOUT, (size_t)(self.history_length - at));
	if (at == self.history_length) return;
	for (; at < self.history_length; at++) frame[length++] = (uint8_t)self.history[at % HISTORY];
	if (RETRY(send(client->fd, frame, length, MSG_DONTWAIT | MSG_NOSIGNAL)) != (ssize_t)length) drop(client);
}

static void close_input(void) {
	if (self.input >= 0) close(self.input);
	self.input = -1;
	self.input_start = self.input_end = 0;
}

static void write_input(void) {
	size_t length = self.input_end - self.input_start;
	if (self.input < 0) self.input_start = self.input_end; /* closed: it goes nowhere */
	else if (length > 0) {
		ssize_t n = RETRY(write(self.input, self.waiting + self.input_start, length));
		if (n >= 0) self.input_start += (size_t)n;
		else if (errno != EAGAIN) close_input();
	}
}

static bool input_waits(void) {
	return self.input_start < self.input_end;
}

static void carry_out(struct attached *client, enum kind kind) {
	uint16_t size[2];
	memcpy(size, client->small, sizeof size);
	if (kind == HELLO && client->small_length == 1) {
		client->wants_output = client->small[0] & WANTS_OUTPUT;
		client->sent = self.piece_length;
		if (client->small[0] & WANTS_HISTORY && self.master >= 0) send_history(client);
	} else if (kind == RESIZE && client->small_length == sizeof size && self.master >= 0) {
		resize_terminal(self.master, size[0], size[1]);
	} else if (kind == CLOSE_STDIN && self.master < 0) {
		close_input();
	} else if (kind == CLOSE_STDIN) { /* the end of the input of a terminal is a character */
		self.waiting[0] = '\004';
		self.input_start = 0, self.input_end = 1;
		write_input();
	}
}

/* One step of reading a frame; the content of one for the input goes on at once. */
static void receive(struct attached *client) {
	enum kind kind = (enum kind)(client->head & 255);
	bool head = client->got < 4, input = !head && kind == TO_STDIN;
	void *into = head ? (void *)((uint8_t *)&client->head + client->got) : input ? (void *)self.waiting : (void *)(client->small + client->small_length);
	size_t room = head ? 4 - client->got : client->left;
	if (input && room > INPUT) room = INPUT;
	ssize_t n = RETRY(recv(client->fd, into, room, MSG_DONTWAIT));
	if (n < 0 && errno == EAGAIN) return;
	if (n <= 0) return drop(client); /* it has detached */
	if (head) {
		client->got += (uint32_t)n;
		if (client->got < 4) return;
		kind = (enum kind)(client->head & 255);
		client->left = client->head >> 8;
		client->small_length = 0;
		if (kind != TO_STDIN && client->left > sizeof client->small) return drop(client);
	} else {
		client->left -= (uint32_t)n;
		if (input) {
			self.input_start = 0, self.input_end = (size_t)n;
			write_input();
		} else {
			client->small_length += (uint32_t)n;
		}
	}
	if (client->left > 0) return;
	client->got = 0;
	if (kind != TO_STDIN) carry_out(client, kind);
}

static void accept_attached(void) {
	int fd = accept4(self.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	for (int i = 0; i < CLIENTS && fd >= 0; i++) {
		if (self.clients[i].fd >= 0) continue;
		self.clients[i] = (struct attached){.fd = fd};
		return;
	}
	if (fd >= 0) close(fd); /* enough */
}

/* Fills in what the supervisor's loop is to wait for, and says how much. */
int attach_polls(struct pollfd polls[MAX_ATTACH_POLLS]) {
	if (self.listener < 0) return 0;
	polls[0] = (struct pollfd){.fd = self.listener, .events = POLLIN};
	polls[1] = (struct pollfd){.fd = input_waits() ? self.input : -1, .events = POLLOUT};
	for (int i = 0; i < CLIENTS; i++) {
		/* A container that does not read its input slows those down who give it, and nobody else. */
		short events = (short)((input_waits() ? 0 : POLLIN) | (is_behind(&self.clients[i]) ? POLLOUT : 0));
		polls[i + 2] = (struct pollfd){.fd = events ? self.clients[i].fd : -1, .events = events};
	}
	return MAX_ATTACH_POLLS;
}

void attach_handle(const struct pollfd polls[MAX_ATTACH_POLLS]) {
	if (self.listener < 0) return;
	if (polls[1].revents) write_input();
	for (int i = 0; i < CLIENTS; i++) {
		struct attached *client = &self.clients[i];
		short events = polls[i + 2].revents;
		if (!events || client->fd < 0 || polls[i + 2].fd != client->fd) continue;
		if (polls[i + 2].events & POLLOUT && events & (POLLOUT | POLLERR | POLLHUP) && is_behind(client)) send_piece(client);
		if (client->fd >= 0 && polls[i + 2].events & POLLIN && events & (POLLIN | POLLHUP | POLLERR) && !input_waits()) receive(client);
	}
	if (polls[0].revents) accept_attached();
}

/* Waits, within the usual bound, until everybody has taken the piece: when the container has ended, and more is to be read from its pipes. */
void attach_settle(void) {
	struct pollfd polls[MAX_ATTACH_POLLS];
	while (attach_held()) {
		int count = attach_polls(polls);
		if (poll(polls, (nfds_t)count, HOLD_MS / 10) > 0) attach_handle(polls);
	}
}

/* Everything was offered. */
void attach_end(void) {
	if (self.listener < 0) return;
	attach_settle();
	for (int i = 0; i < CLIENTS; i++) self.clients[i].wants_output = true; /* the end is for all */
	offer_piece(END, "", 0);
	attach_settle(); /* without it, they would take the end for being dropped */
	for (int i = 0; i < CLIENTS; i++)
		if (self.clients[i].fd >= 0) drop(&self.clients[i]);
}

/* Below the runtime directory; the start time tells a reused pid apart, and is known to whoever may attach. */
void attach_name(const struct target *target, char name[MAX_ATTACH_NAME]) {
	snprintf(name, MAX_ATTACH_NAME, "attach/%d.%llu", target->pid, (unsigned long long)target->start);
}

/* Before the container is told of: `name` is a socket below the runtime directory; `input` and `master` (-1: none) are kept. */
int attach_start(int runtime, const char *name, int input, int master, struct failure *failure) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	self.input = input;
	self.master = master;
	self.peer = master < 0 ? -1 : open_peer(master);
	for (int i = 0; i < CLIENTS; i++) self.clients[i].fd = -1;
	snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* A path of its own would be too long in some directories. */
	bool bound = fd >= 0 && fchdir(runtime) == 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && chmod(name, 0600) == 0;
	int err = errno;
	if (chdir("/") < 0 || !bound || listen(fd, CLIENTS) < 0) {
		if (!bound) errno = err;
		return fail(failure, "attach", "cannot make the socket %s", name);
	}
	self.listener = fd;
	return 0;
}
