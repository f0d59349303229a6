/*
 * Decoding and validation (and, at the end, putting answers together). Nothing is carried out before the whole request has passed through here: every length against the
 * frame, every path absolute and free of "..", every flag known, every operation in a namespace that makes it harmless.
 */
#include "launcher.h"
#include <linux/capability.h>
#include <sys/resource.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the protocol is little-endian, and read in place");

/* p path, o path or empty, s text, u 32-bit number, q 64-bit number, b bytes */
static const struct {
	const char *name, *fields;
} specs[OP_COUNT] = {
	[OP_JOIN_CGROUP] = {"joinCgroup", "p"},
	[OP_MOUNT] = {"mount", "sopssu"},
	[OP_SET_MOUNT_ATTRIBUTES] = {"setMountAttributes", "pu"},
	[OP_MKDIR] = {"mkdir", "puuu"},
	[OP_CREATE_FILE] = {"createFile", "puub"},
	[OP_SYMLINK] = {"symlink", "sp"},
	[OP_MKNOD] = {"mknod", "puuuuuu"},
	[OP_MASK] = {"mask", "p"},
	[OP_READ_ONLY] = {"readOnly", "p"},
	[OP_ENTER_ROOT] = {"enterRoot", "p"},
	[OP_PIVOT_ROOT] = {"pivotRoot", ""},
	[OP_HOSTNAME] = {"hostname", "s"},
	[OP_LOOPBACK_UP] = {"loopbackUp", ""},
	[OP_RLIMIT] = {"rlimit", "uqq"},
	[OP_OOM_SCORE_ADJ] = {"oomScoreAdj", "u"},
	[OP_UMASK] = {"umask", "u"},
	[OP_USER] = {"user", "uub"},
	[OP_CAPABILITIES] = {"capabilities", "qqqqq"},
	[OP_NO_NEW_PRIVILEGES] = {"noNewPrivileges", ""},
	[OP_SECCOMP] = {"seccomp", "ub"},
	[OP_WORKING_DIRECTORY] = {"workingDirectory", "p"},
	[OP_TERMINAL] = {"terminal", "u"},
	[OP_DEVICE_RULES] = {"deviceRules", "pb"},
	[OP_APPARMOR] = {"appArmorProfile", "s"},
	[OP_OVERLAY] = {"overlay", "pouuuub"},
	[OP_JOIN_NAMESPACE] = {"joinNamespace", "ou"},
	[OP_USER_NAMESPACE] = {"userNamespace", "u"},
};

const char *op_name(enum op_code code) {
	return code > 0 && code < OP_COUNT ? specs[code].name : "unknown";
}

static void *problem(struct cursor *cursor, const char *text) {
	if (!cursor->problem) cursor->problem = text;
	cursor->at = cursor->end;
	return NULL;
}

uint64_t take_number(struct cursor *cursor, size_t bytes) {
	uint64_t value = 0;
	if ((size_t)(cursor->end - cursor->at) < bytes) {
		problem(cursor, "the frame is cut short");
		return 0;
	}
	memcpy(&value, cursor->at, bytes);
	cursor->at += bytes;
	return value;
}

static const uint8_t *take_blob(struct cursor *cursor, uint32_t *length) {
	*length = (uint32_t)take_number(cursor, 4);
	const uint8_t *start = cursor->at;
	if ((size_t)(cursor->end - cursor->at) < *length) {
		*length = 0;
		return problem(cursor, "a length goes past the end of the frame");
	}
	cursor->at += *length;
	return start;
}

/* Text is followed by a NUL on the wire, so that it can be used in place. */
const char *take_text(struct cursor *cursor) {
	uint32_t length;
	const uint8_t *text = take_blob(cursor, &length);
	if (cursor->problem || take_number(cursor, 1) != 0 || cursor->problem || memchr(text, 0, length)) {
		problem(cursor, "a text is not terminated, or has a NUL in it");
		return "";
	}
	return (const char *)text;
}

static bool safe_path(const char *path) {
	if (path[0] != '/' || strlen(path) >= PATH_MAX) return false;
	for (const char *part = path; part; part = strchr(part + 1, '/')) {
		if (strncmp(part, "/..", 3) == 0 && (part[3] == '/' || part[3] == '\0')) return false;
	}
	return true;
}

static const char *take_path(struct cursor *cursor, bool optional) {
	const char *path = take_text(cursor);
	if (!cursor->problem && !(optional && !*path) && !safe_path(path))
		problem(cursor, "a path is not absolute, is too long, or has '..' in it");
	return path;
}

bool take_op(struct cursor *cursor, struct op *op) {
	unsigned texts = 0, numbers = 0;
	memset(op, 0, sizeof *op);
	uint64_t code = take_number(cursor, 1);
	if (cursor->problem || code == 0 || code >= OP_COUNT) {
		problem(cursor, "the operation is unknown");
		return false;
	}
	op->code = (enum op_code)code;
	for (const char *field = specs[code].fields; *field; field++) {
		if (*field == 's') op->text[texts++] = take_text(cursor);
		else if (*field == 'p' || *field == 'o') op->text[texts++] = take_path(cursor, *field == 'o');
		else if (*field == 'b') op->blob = take_blob(cursor, &op->blob_length);
		else op->number[numbers++] = take_number(cursor, *field == 'q' ? 8 : 4);
	}
	return !cursor->problem;
}

static bool short_word(const char *text, size_t max, const char *extra) {
	size_t length = strlen(text);
	for (const char *c = text; *c; c++) {
		bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
		if (!plain && !strchr(extra, *c)) return false;
	}
	return length > 0 && length <= max;
}

bool valid_container_id(const char *id) {
	return short_word(id, MAX_ID, "._-") && id[0] != '.' && id[0] != '-';
}

static const char *check_mount(const struct op *op) {
	uint64_t flags = op->number[0];
	const char *source = op->text[0], *below = op->text[1], *fstype = op->text[3], *data = op->text[4];
	if (flags & ~(uint64_t)MF_ALL) return "a mount flag is unknown";
	if (*fstype) {
		if (flags & ~(uint64_t)MF_ATTRIBUTES) return "a new file system takes attributes only (ro, nosuid, nodev, noexec, noatime)";
		return *below || !short_word(fstype, 31, "_.") ? "the file system type is malformed" : NULL;
	}
	if (*data) return "data needs a file system type";
	uint64_t propagation = flags & (MF_PRIVATE | MF_SLAVE | MF_SHARED);
	if (propagation & (propagation - 1)) return "there is one propagation at most";
	if (propagation && !(flags & MF_BIND)) return flags & ~(propagation | MF_REC) ? "propagation is set alone, or with a bind" : NULL;
	if (!(flags & MF_BIND)) return "neither a file system type, nor bind, nor propagation is given";
	if (flags & MF_REMOUNT) return *below || propagation || flags & (MF_IDMAP | MF_PEER) ? "a remount has no source" : NULL;
	if (flags & MF_PRIVATE || (flags & MF_PEER && (*below || propagation))) return "the bind's flags exclude each other";
	return safe_path(source) ? NULL : "the source is not absolute, or has '..' in it";
}

static const char *check_overlay(const struct op *op) {
	const uint64_t allowed = MF_ATTRIBUTES | MF_IDMAP | OV_MEMORY;
	const char *at = (const char *)op->blob, *end = at + op->blob_length;
	unsigned layers = 0;
	if (op->number[0] & ~allowed) return "a flag is unknown";
	if (op->number[0] & OV_MEMORY && *op->text[1]) return "changes go to memory or to a directory, not to both";
	if (op->number[1] > 07777) return "the mode is malformed";
	if (!op->blob_length || end[-1] != '\0') return "the layers are malformed";
	for (; at < end; at += strlen(at) + 1, layers++)
		if (!safe_path(at)) return "a layer is not absolute, or has '..' in it";
	return layers > MAX_LAYERS ? "there are too many layers" : NULL;
}

static const char *check_capabilities(const struct op *op) {
	const uint64_t *set = op->number; /* bounding, effective, permitted, inheritable, ambient */
	for (int i = 0; i < 5; i++)
		if (set[i] >> (CAP_LAST_CAP + 1)) return "a capability is unknown";
	if (set[1] & ~set[2]) return "effective capabilities must be permitted";
	return set[4] & ~(set[2] & set[3]) ? "ambient capabilities must be permitted and inheritable" : NULL;
}

static const char *check_values(const struct op *op) {
	const uint64_t *number = op->number;
	switch (op->code) {
	case OP_MOUNT: return check_mount(op);
	case OP_SET_MOUNT_ATTRIBUTES:
		return number[0] & ~(uint64_t)(MF_RO | MF_NOSUID | MF_NODEV | MF_NOEXEC | MF_REC) ? "an attribute is unknown" : NULL;
	case OP_MKDIR:
	case OP_CREATE_FILE: return number[0] > 07777 ? "the mode is malformed" : NULL;
	case OP_MKNOD:
		if (number[0] > 1 || number[1] >= 1 << 12 || number[2] >= 1 << 20) return "the device is malformed";
		return number[3] > 0777 ? "the mode is malformed" : NULL;
	case OP_HOSTNAME: return short_word(op->text[0], 64, ".-_") ? NULL : "the host name is malformed";
	case OP_RLIMIT:
		if (number[0] >= RLIM_NLIMITS) return "the resource is unknown";
		return number[1] > number[2] ? "the soft limit is above the hard limit" : NULL;
	case OP_OOM_SCORE_ADJ: return number[0] > 2000 ? "the value is not between -1000 and 1000" : NULL;
	case OP_UMASK: return number[0] > 0777 ? "the mask is malformed" : NULL;
	case OP_USER:
		if (number[0] == UINT32_MAX || number[1] == UINT32_MAX) return "the user or group is malformed";
		return op->blob_length % 4 || op->blob_length > MAX_GROUPS * 4 ? "the groups are malformed or too many" : NULL;
	case OP_CAPABILITIES: return check_capabilities(op);
	case OP_OVERLAY: return check_overlay(op);
	case OP_JOIN_NAMESPACE: return !number[0] || number[0] & ~(uint64_t)(NS_PID | NS_IPC | NS_UTS | NS_NET) ? "the kind of namespace is unknown" : NULL;
	case OP_USER_NAMESPACE: return number[0] == UINT32_MAX ? "the owner is malformed" : NULL;
	case OP_TERMINAL: return number[0] > 1 ? "whose it is, is malformed" : NULL; /* 1: the host's */
	case OP_SECCOMP: /* 2 and 4: SECCOMP_FILTER_FLAG_LOG and _SPEC_ALLOW */
		if (number[0] & ~6ULL) return "a filter flag is unknown";
		return !op->blob_length || op->blob_length % 8 || op->blob_length > MAX_PROGRAM * 8 ? "the program is malformed or too long" : NULL;
	case OP_DEVICE_RULES: return check_device_rules(op->blob, op->blob_length);
	case OP_APPARMOR: return *op->text[0] && strlen(op->text[0]) <= 255 ? NULL : "the profile's name is missing or too long";
	default: return NULL;
	}
}

/* An operation must be harmless to the host: file system work needs an own mount namespace, and so on. */
static const char *check_place(const struct request *request, const struct op *op, unsigned long *seen) {
	bool exec = request->type == FRAME_EXEC, joined = (*seen & ~(1UL << OP_JOIN_CGROUP)) == 0;
	bool in_root = *seen & 1UL << OP_ENTER_ROOT, pivoted = *seen & 1UL << OP_PIVOT_ROOT, again = *seen & 1UL << op->code;
	uint32_t own = request->flags | request->joined;
	*seen |= 1UL << op->code;
	if (op->code == OP_JOIN_CGROUP) return joined ? NULL : "cgroups are joined before anything else";
	if (op->code >= OP_MOUNT && op->code <= OP_PIVOT_ROOT && (exec || !(request->flags & NS_MOUNT)))
		return "it needs an own mount namespace";
	if (op->code == OP_DEVICE_RULES && (exec || pivoted)) return "cgroups are out of reach here";
	if (op->code == OP_OVERLAY && (exec || pivoted || !(request->flags & NS_MOUNT))) return "it needs an own mount namespace";
	if (op->code == OP_HOSTNAME && (exec || !(own & NS_UTS))) return "it needs an own UTS namespace";
	if (op->code == OP_LOOPBACK_UP && (exec || !(own & NS_NET))) return "it needs an own network namespace";
	if (op->code == OP_JOIN_NAMESPACE && (exec || own & op->number[0])) return "a namespace is joined once, and not when it is new";
	if (op->code == OP_JOIN_NAMESPACE && !*op->text[0] && !request->pid) return "neither a path nor a process is given";
	if (op->code == OP_MOUNT && op->number[0] & MF_PEER && !request->pid) return "there is no process to share with";
	if (op->code == OP_USER_NAMESPACE && (!(request->flags & NS_USER) || *seen & (1UL << OP_USER | 1UL << OP_CAPABILITIES))) return "it comes before the user, with a user namespace only";
	if (op->code == OP_USER && request->flags & NS_USER && !(*seen & 1UL << OP_USER_NAMESPACE)) return "the user namespace is entered before it";
	if (op->code == OP_ENTER_ROOT && (in_root || pivoted)) return "a root was entered already";
	if (op->code == OP_TERMINAL && (exec || !(request->flags & WITH_TTY))) return "no terminal was asked for";
	if (op->code == OP_TERMINAL && again) return "there is a terminal already";
	if (op->code == OP_TERMINAL && !pivoted && !op->number[0]) return "pivotRoot must come before it: the terminal is the container's own";
	if (op->code == OP_PIVOT_ROOT && (!in_root || pivoted)) return "enterRoot must come once before it";
	return NULL;
}

static int decode_ops(struct cursor *cursor, struct request *request, struct failure *failure) {
	unsigned long seen = 0;
	struct op op;
	request->op_count = (uint32_t)take_number(cursor, 4);
	if (request->op_count > MAX_OPS) problem(cursor, "there are too many operations");
	request->ops = *cursor;
	for (uint32_t i = 0; i < request->op_count && !cursor->problem; i++) {
		failure->op = (int32_t)i;
		if (!take_op(cursor, &op)) break;
		const char *wrong = check_values(&op);
		if (!wrong) wrong = check_place(request, &op, &seen);
		if (op.code == OP_JOIN_NAMESPACE) request->joined |= (uint32_t)op.number[0];
		if (wrong) {
			errno = 0;
			return fail(failure, "validate", "%s: %s", op_name(op.code), wrong);
		}
		/* The first cgroup stands for the container when it is signalled. */
		if (op.code == OP_JOIN_CGROUP && !*request->cgroup) request->cgroup = op.text[0];
	}
	if (!cursor->problem && request->flags & NS_USER && !(seen & 1UL << OP_USER_NAMESPACE)) problem(cursor, "the user namespace is never entered");
	if (!cursor->problem) failure->op = -1;
	if (request->type == FRAME_LAUNCH && request->flags & WITH_TTY && !(seen & 1UL << OP_TERMINAL)) problem(cursor, "a terminal is asked for, and never made");
	return 0;
}

static char **take_list(struct cursor *cursor, char ***spare) {
	uint32_t count = (uint32_t)take_number(cursor, 4);
	char **list = *spare;
	for (uint32_t i = 0; i < count && !cursor->problem; i++) *(*spare)++ = (char *)(uintptr_t)take_text(cursor);
	*(*spare)++ = NULL;
	return list;
}

static void take_launch_fields(struct cursor *cursor, struct request *request) {
	request->exit_record = take_path(cursor, false);
	for (int i = 0; i < 2; i++) {
		struct sink *sink = &request->sink[i];
		sink->path = take_path(cursor, false);
		sink->max_bytes = take_number(cursor, 8);
		sink->max_files = (uint32_t)take_number(cursor, 4);
		sink->uid = (uint32_t)take_number(cursor, 4);
		sink->gid = (uint32_t)take_number(cursor, 4);
		if (sink->max_files > 1000) problem(cursor, "a log keeps more than 1000 files");
	}
	request->pid = (uint32_t)take_number(cursor, 4);
	request->start = take_number(cursor, 8);
	request->uids.host = (uint32_t)take_number(cursor, 4);
	request->uids.size = (uint32_t)take_number(cursor, 4);
	request->gids.host = (uint32_t)take_number(cursor, 4);
	request->gids.size = (uint32_t)take_number(cursor, 4);
	bool mapped = request->uids.size && request->gids.size && request->uids.host && request->gids.host;
	if (request->flags & NS_USER && !mapped) problem(cursor, "a user namespace needs ids, and none may be the host's root");
}

/* send|receive PATH NAME; `receive PATH .` keeps the names of the stream */
static void check_copy(struct cursor *cursor, const struct request *request) {
	char **argv = request->argv;
	bool three = argv[0] && argv[1] && argv[2] && !argv[3], keeps = three && strcmp(argv[0], "receive") == 0 && strcmp(argv[2], ".") == 0;
	if (request->type != FRAME_EXEC || request->flags & WITH_TTY) problem(cursor, "files are copied by an exec without a terminal");
	else if (!three || (strcmp(argv[0], "send") != 0 && strcmp(argv[0], "receive") != 0)) problem(cursor, "to copy files takes send or receive, a path and a name");
	else if (!*argv[1] || !*argv[2] || strchr(argv[2], '/') || (strcmp(argv[2], ".") == 0 && !keeps) || strcmp(argv[2], "..") == 0 || strlen(argv[2]) > NAME_MAX)
		problem(cursor, "the path or the name of the copy is malformed");
}

static void check_request(struct cursor *cursor, const struct request *request) {
	if (cursor->problem) return;
	if (!valid_container_id(request->container)) problem(cursor, "the container id is malformed");
	if (request->flags & ~(uint32_t)ALL_FLAGS) problem(cursor, "a flag is unknown");
	if (request->flags & WITH_INIT && !(request->flags & NS_PID)) problem(cursor, "an init needs an own pid namespace");
	if (request->flags & WITH_PAUSE && request->flags & WITH_INIT) problem(cursor, "what keeps namespaces has no command for an init");
	if (!(request->flags & WITH_PAUSE) && (!request->argv[0] || !*request->argv[0])) problem(cursor, "the command is missing");
	if (request->flags & WITH_FILES) check_copy(cursor, request);
	for (char **entry = request->env; *entry; entry++)
		if (**entry == '=' || !strchr(*entry, '=')) problem(cursor, "an environment entry is not NAME=value");
	if ((request->type == FRAME_EXEC && request->pid == 0) || request->pid > INT32_MAX) problem(cursor, "the pid is malformed");
}

int decode_request(uint8_t *frame, size_t length, struct request *request, struct failure *failure) {
	struct cursor cursor = {frame, frame + length, NULL};
	/* A pointer for each entry and one NULL per list; an entry takes at least 5 bytes of the frame, a list 4. */
	char **spare = (char **)(((uintptr_t)cursor.end + 15) & ~(uintptr_t)15);
	*request = (struct request){.container = "", .clone_into = "", .exit_record = "", .cgroup = ""};
	failure->op = -1;
	request->type = (uint32_t)take_number(&cursor, 4);
	request->id = (uint32_t)take_number(&cursor, 4);
	request->container = take_text(&cursor);
	request->flags = (uint32_t)take_number(&cursor, 4);
	request->clone_into = take_path(&cursor, true);
	if (request->type == FRAME_LAUNCH) {
		take_launch_fields(&cursor, request);
	} else if (request->type == FRAME_EXEC) {
		request->pid = (uint32_t)take_number(&cursor, 4);
		request->start = take_number(&cursor, 8);
		request->columns = (uint32_t)take_number(&cursor, 4);
		request->rows = (uint32_t)take_number(&cursor, 4);
	} else {
		problem(&cursor, "the frame is neither a launch nor an exec");
	}
	request->argv = take_list(&cursor, &spare);
	request->env = take_list(&cursor, &spare);
	check_request(&cursor, request);
	if (decode_ops(&cursor, request, failure) < 0) return -1;
	if (cursor.at != cursor.end) problem(&cursor, "there is something behind the last operation");
	if (!cursor.problem) return 0;
	errno = 0;
	return fail(failure, "decode", "%s", cursor.problem);
}

/* The directory through which the container's processes are found: its v2 cgroup, or else the first one that it joins. */
void request_cgroup(const struct request *request, char out[PATH_MAX]) {
	const char *joined = request->cgroup, *end = strrchr(joined, '/');
	if (*request->clone_into || !end) snprintf(out, PATH_MAX, "%s", request->clone_into);
	else snprintf(out, PATH_MAX, "%.*s", (int)(end - joined), joined);
}

/* --- answers --- */

static void put(struct output *output, const void *data, size_t length) {
	enum { MAX_OUTPUT = 8 << 20 };
	if (output->length + length > output->room) {
		size_t room = (output->length + length + 4095) & ~(size_t)4095;
		uint8_t *bigger = room > MAX_OUTPUT ? NULL : realloc(output->data, room);
		output->failed = output->failed || !bigger;
		if (output->failed) return;
		output->data = bigger;
		output->room = room;
	}
	memcpy(output->data + output->length, data, length);
	output->length += length;
}

void put_number(struct output *output, uint64_t value, size_t bytes) {
	put(output, &value, bytes);
}

void put_text(struct output *output, const char *text) {
	put_number(output, strlen(text), 4);
	put(output, text, strlen(text) + 1);
}

size_t start_frame(struct output *output, uint32_t type, uint32_t request) {
	size_t start = output->length;
	put_number(output, 0, 4);
	put_number(output, type, 4);
	put_number(output, request, 4);
	return start;
}

bool finish_frame(struct output *output, size_t start) {
	uint32_t length = (uint32_t)(output->length - start - 4);
	if (!output->failed) memcpy(output->data + start, &length, 4);
	return !output->failed;
}

/* A whole FAILED frame; to be finished. */
size_t start_failure(struct output *output, uint32_t request, const struct failure *failure) {
	size_t frame = start_frame(output, FRAME_FAILED, request);
	put_number(output, (uint32_t)failure->op, 4);
	put_number(output, (uint32_t)failure->err, 4);
	put_text(output, failure->step);
	put_text(output, failure->message);
	return frame;
}
