/* What the parts of the launcher share: the decoded request, the failure report, and the few helpers everybody needs. */
#ifndef TEPUI_LAUNCHER_H
#define TEPUI_LAUNCHER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#ifndef PROTOCOL_VERSION /* another one: for tests */
#define PROTOCOL_VERSION 2
#endif
#ifndef BUILD_ID
#define BUILD_ID "unknown"
#endif
enum { MAX_FRAME = 4 << 20, MAX_OPS = 4096, MAX_ID = 128, MAX_GROUPS = 1024, MAX_PROGRAM = 4096, MAX_RECORD = 512, MAX_LAYERS = 500, MAX_PINNED = 64 };

#define RETRY(expression) \
	({ \
		long result_; \
		do \
			result_ = (long)(expression); \
		while (result_ == -1 && errno == EINTR); \
		result_; \
	})

static inline void close_fd(const int *fd) {
	if (*fd >= 0) close(*fd);
}
#define CLEANUP_FD __attribute__((cleanup(close_fd)))

/* How a launch failed. It travels from the container's first process to the client unchanged. */
struct failure {
	int32_t op; /* index of the operation, -1 outside of them */
	int32_t err;
	char step[24];
	char message[400];
};
/* Fills `failure` with errno's text appended and returns -1, so that callers can `return fail(...)`. */
int fail(struct failure *failure, const char *step, const char *format, ...) __attribute__((format(printf, 3, 4)));

enum frame_type {
	FRAME_PING = 1, FRAME_LAUNCH, FRAME_SIGNAL, FRAME_LIST, FRAME_SHUTDOWN, FRAME_EXEC,
	FRAME_OK = 64, FRAME_FAILED, FRAME_EXIT = 80, FRAME_GONE
};
enum request_flags {
	NS_MOUNT = 1, NS_PID = 2, NS_IPC = 4, NS_UTS = 8, NS_CGROUP = 16, NS_NET = 32, NS_ALL = 63, WITH_INIT = 64, WITH_TTY = 128,
	WITH_STDIN = 256, NS_USER = 512, WITH_PAUSE = 1024, WITH_FILES = 2048, ALL_FLAGS = 4095
};
/* Must match operations in encode.ts; the fields of each are in decode.c. */
enum op_code {
	OP_JOIN_CGROUP = 1, OP_MOUNT, OP_SET_MOUNT_ATTRIBUTES, OP_MKDIR, OP_CREATE_FILE, OP_SYMLINK, OP_MKNOD, OP_MASK,
	OP_READ_ONLY, OP_ENTER_ROOT, OP_PIVOT_ROOT, OP_HOSTNAME, OP_LOOPBACK_UP, OP_RLIMIT, OP_OOM_SCORE_ADJ, OP_UMASK,
	OP_USER, OP_CAPABILITIES, OP_NO_NEW_PRIVILEGES, OP_SECCOMP, OP_WORKING_DIRECTORY, OP_TERMINAL, OP_DEVICE_RULES, OP_APPARMOR,
	OP_OVERLAY, OP_JOIN_NAMESPACE, OP_USER_NAMESPACE, OP_COUNT
};
enum mount_flags {
	MF_RO = 1, MF_NOSUID = 2, MF_NODEV = 4, MF_NOEXEC = 8, MF_NOATIME = 16, MF_ATTRIBUTES = 31, MF_BIND = 32,
	MF_REMOUNT = 64, MF_PRIVATE = 128, MF_SLAVE = 256, MF_REC = 512, MF_SHARED = 1024, MF_IDMAP = 2048, MF_PEER = 4096,
	MF_ALL = 8191, OV_MEMORY = 8192
};

struct cursor {
	const uint8_t *at, *end;
	const char *problem; /* the first thing found wrong; everything read afterwards is empty */
};
struct op {
	enum op_code code;
	const char *text[5];
	uint64_t number[6];
	const uint8_t *blob;
	uint32_t blob_length;
};
struct sink {
	const char *path;
	uint64_t max_bytes;
	uint32_t max_files, uid, gid;
};
/* A decoded launch or exec request. All pointers lead into the frame (or the spare room behind it). */
struct request {
	uint32_t type, id;
	const char *container, *clone_into, *exit_record, *cgroup;
	uint32_t flags, joined; /* joined: kinds of namespaces, as in flags */
	struct sink sink[2];
	uint32_t pid, columns, rows; /* exec: the container's first process and the terminal's size; launch: the process whose namespaces are shared, or 0 */
	uint64_t start;
	struct {
		uint32_t host, size;
	} uids, gids; /* launch: ids 0 .. size-1 of the container's user namespace, on the host */
	char **argv, **env;
	uint32_t op_count;
	struct cursor ops;
};

/* decode.c */
struct output { /* frames on their way to a client; grows, up to a limit */
	uint8_t *data;
	size_t length, room;
	bool failed;
};
void put_number(struct output *output, uint64_t value, size_t bytes);
void put_text(struct output *output, const char *text);
size_t start_frame(struct output *output, uint32_t type, uint32_t request);
size_t start_failure(struct output *output, uint32_t request, const struct failure *failure);
bool finish_frame(struct output *output, size_t start);
uint64_t take_number(struct cursor *cursor, size_t bytes);
const char *take_text(struct cursor *cursor);
bool take_op(struct cursor *cursor, struct op *op);
const char *op_name(enum op_code code);
void request_cgroup(const struct request *request, char out[PATH_MAX]);
bool valid_container_id(const char *id);
/* `frame` starts after the length field; behind its `length` bytes there must be twice as many spare bytes for pointers. */
int decode_request(uint8_t *frame, size_t length, struct request *request, struct failure *failure);

/* main.c: processes */
struct target { /* what is known about a container when it is to be signalled */
	pid_t pid;
	uint64_t start;
	uint32_t flags;
	const char *cgroup; /* a directory with cgroup.procs, or "" */
};
uint64_t process_start(pid_t pid, bool also_zombie); /* field 22 of /proc/pid/stat; 0 for none */
int signal_container(const struct target *target, int signal);
struct spawn {
	uint64_t flags;
	int cgroup_fd; /* -1: none */
	int (*main)(void *);
	void *argument;
	bool share_memory; /* vfork-style: the caller sleeps until the child execs or exits */
};
pid_t spawn(const struct spawn *spawn);
uint64_t clock_ms(clockid_t clock);
int write_all(int fd, const void *data, size_t length);
int open_parent(const char *path, char name[NAME_MAX + 1]);

/* init.c */
void find_arguments(int argc, char **argv);
int run_init(int (*command)(void *), void *argument, int status_fd, int report_fd);
int run_init_role(char **argv);
int run_pause(void);

/* command.c: from clone to the command's exec */
struct child {
	const struct request *request;
	int report_fd;  /* struct failure records; "exec" announces the attempt */
	int status_fd;  /* -1, or where the tiny init tells the command's wait status */
	int parent_fd;  /* pidfd of the supervisor: readable once it is dead */
	int stdio[3];
	int terminal_fd;     /* where the operation `terminal` sends the master to, -1 for none */
	int target_fd;       /* exec: pidfd of the container's first process; launch: of the process whose namespaces are shared */
	int user_fd;         /* launch: the container's user namespace, or -1 */
	const int *join_fds; /* exec: cgroup files opened before setns; NULL otherwise */
	unsigned foreign_fds;      /* so many from 3 on are the supervisor's own */
	bool controlling_terminal;
	bool prepared_oom; /* exec: the helper has set its own oom_score_adj, which is inherited */
};
int container_main(void *child);
int read_launch_result(int report_fd, struct failure *failure);

/* steps.c: the interpreter's state */
struct world {
	const struct child *child;
	const struct request *request;
	struct failure failure;
	int root;   /* what absolute paths are resolved below */
	int empty;  /* an empty read-only tmpfs that masks are cloned from, -1 until needed */
	int oom_fd; /* opened before the host's /proc is out of reach */
	bool new_cgroup_namespace, no_new_privileges;
	mode_t umask;
	bool as_namespace_root, in_user_namespace;
	unsigned pinned_count;
	struct pinned { /* clones of mounts that were made before the mount namespace was separated */
		uint32_t op;
		int tree;
	} pinned[MAX_PINNED];
	struct op filter; /* a seccomp filter put off until right before exec */
	int32_t filter_index;
};
int failed(struct world *w, const char *step, const char *verb, const char *object);
int install_filter(struct world *w, const struct op *op);
int run_ops(struct world *w);

/* files.c */
int run_files(char **argv);

/* terminal.c */
int open_terminal(unsigned columns, unsigned rows, int *master, struct failure *failure);
int open_peer(int master);
void resize_terminal(int master, unsigned columns, unsigned rows);
int give_terminal(struct world *w);
int take_terminal(int socket);

/* log.c */
struct log {
	int pipe, file, dir; /* pipe: -1 once everything was read */
	uint64_t size, max_bytes, dropped;
	uint32_t max_files, uid, gid;
	char name[NAME_MAX + 1];
	int times; /* -1 until something is written */
	uint32_t notes;
	int64_t noted; /* second of the last note */
};
int open_log(struct log *log, const struct sink *sink, int *writer, struct failure *failure);
void write_log(struct log *log, const char *data, size_t length);

/* attach.c */
enum { MAX_ATTACH_POLLS = 10, ATTACH_PIECE = 16384, MAX_ATTACH_NAME = 48 };
int attach_start(int runtime, const char *name, int input, int master, struct failure *failure);
bool attach_held(void);
void attach_output(int stream, const char *data, size_t length);
int attach_polls(struct pollfd polls[MAX_ATTACH_POLLS]);
void attach_handle(const struct pollfd polls[MAX_ATTACH_POLLS]);
void attach_settle(void);
void attach_end(void);
void attach_name(const struct target *target, char name[MAX_ATTACH_NAME]);

/* devices.c */
enum { MAX_DEVICE_RULES = 256 };
struct device_rule { /* as in encode.ts; type 0: all, 1: block, 2: character; UINT32_MAX: any number; access: 1 mknod, 2 read, 4 write */
	uint32_t type, major, minor, access;
};
const char *check_device_rules(const uint8_t *blob, uint32_t length);
int set_device_rules(const char *cgroup, const uint8_t *blob, uint32_t length);
int run_devices(const char *cgroup);
int set_apparmor(const char *profile);

/* mounts.c, overlay.c */
int resolve(const struct world *w, const char *path, int flags);
int clone_tree(int fd, const char *path, bool recursive);
int attach(int tree, int target);
int map_ids(struct world *w, int tree, bool recursive, const char *name);
int new_tmpfs(const char *option, const char *value, unsigned attributes);
int pin_shared_sources(struct world *w);
int do_mount(struct world *w, const struct op *op);
int do_overlay(struct world *w, const struct op *op);
int mask(struct world *w, const char *path);
int read_only(struct world *w, const char *path);
int change_attributes(struct world *w, const struct op *op);

/* namespaces.c */
int make_user_namespace(const struct request *request, struct failure *failure);
int open_shared_process(const struct request *request, struct failure *failure);
int enter_shared_pids(const struct request *request, int peer, struct failure *failure);
int become_namespace_root(struct world *w);
int join_namespace(struct world *w, const struct op *op);
int enter_user_namespace(struct world *w, const struct op *op);

/* state.c */
enum { MAX_STATE = 2 * PATH_MAX + 128 };
struct supervised {
	int supervisor, pid;
	unsigned long long supervisor_start, start;
	unsigned flags;
	const char *exit_record, *cgroup;
};
int write_state(int runtime_fd, const char *name, const struct supervised *state);
bool read_state(int runtime_fd, const char *name, struct supervised *state, char text[MAX_STATE]);

/* supervise.c, serve.c, exec.c, dial.c */
enum report_kind { REPORT_STARTED = 1, REPORT_FAILED, REPORT_EXITED };
struct report { /* supervisor -> serve, below PIPE_BUF so that it is atomic */
	uint32_t kind;
	int32_t pid;
	uint64_t start;
	struct failure failure; /* failed: how; exited: message is the record */
};
_Noreturn void supervise(struct request *request, void *frame, size_t frame_size, int report_fd, int runtime_fd);
uint64_t namespace_flags(uint32_t flags); /* of a request's namespaces */
bool read_exit_record(const char *path, char record[MAX_RECORD + 1]);
void replace_exit_record(const char *path, const char *record);
void drop_exit_record(const char *path);
int serve(int runtime_fd, int listener);
int start_serving(char **arguments); /* start.c */
int run_exec(void);
int run_hold(char **argv); /* hold.c */
int run_rootless(int count, char **arguments); /* rootless.c */
bool in_own_user_namespace(void); /* namespaces.c */
int allow_echo_requests(void);
int other_namespaces(pid_t pid, uint64_t start, int kinds);
int run_unpack(int count, char **arguments); /* unpack.c: unpack, remove, sync */
int run_quota(int argc, char **argv); /* quota.c */
int run_probe(int count, char **arguments);
int run_dial(int count, char **arguments);
#endif
