/*
 * Device access of a cgroup, device nodes, and the AppArmor profile of the next exec. The rules are a white list, made by TypeScript:
 * cgroup v1 gets them as text in devices.deny and devices.allow, cgroup v2 as a BPF program of a few instructions per rule. The program is
 * attached to the cgroup and lives as long as that: nobody keeps a descriptor, and nothing is pinned. The one-shot role `devices DIR` reads
 * rules from its standard input, for the cgroup above all containers, whose program holds for every cgroup below that has none of its own.
 */
#include "launcher.h"
#include <linux/bpf.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

enum { ANY = UINT32_MAX, ALL_ACCESS = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE, RULE_INSTRUCTIONS = 9 };

const char *check_device_rules(const uint8_t *blob, uint32_t length) {
	struct device_rule rule;
	if (length % sizeof rule || length / sizeof rule > MAX_DEVICE_RULES) return "the device rules are malformed or too many";
	for (uint32_t at = 0; at < length; at += (uint32_t)sizeof rule) {
		memcpy(&rule, blob + at, sizeof rule);
		if (rule.type > BPF_DEVCG_DEV_CHAR) return "a device type is unknown";
		if (rule.type == 0 && (rule.major != ANY || rule.minor != ANY || rule.access != ALL_ACCESS || length != sizeof rule))
			return "a rule for all devices stands alone";
		if ((rule.major != ANY && rule.major >= 1 << 12) || (rule.minor != ANY && rule.minor >= 1 << 20)) return "a device number is too large";
		if (rule.access == 0 || rule.access & ~(uint32_t)ALL_ACCESS) return "a device access is unknown";
	}
	return NULL;
}

static struct device_rule rule_at(const uint8_t *blob, uint32_t index) {
	struct device_rule rule;
	memcpy(&rule, blob + index * sizeof rule, sizeof rule);
	return rule;
}

/* --- cgroup v1 --- */

static int write_control(int dir, const char *name, const char *text) {
	CLEANUP_FD int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t length = (ssize_t)strlen(text);
	return fd < 0 || write(fd, text, (size_t)length) != length ? -1 : 0;
}

static void number_or_any(char out[12], uint32_t number) {
	if (number == ANY) strcpy(out, "*");
	else snprintf(out, 12, "%u", number);
}

/* `a` in devices.deny empties the list; `a` in devices.allow allows everything. */
static int write_rules(int dir, const uint8_t *blob, uint32_t count) {
	if (write_control(dir, "devices.deny", "a") < 0) return -1;
	for (uint32_t i = 0; i < count; i++) {
		const struct device_rule rule = rule_at(blob, i);
		char text[48], major[12], minor[12];
		number_or_any(major, rule.major);
		number_or_any(minor, rule.minor);
		snprintf(text, sizeof text, "%c %s:%s %s%s%s", rule.type == BPF_DEVCG_DEV_BLOCK ? 'b' : 'c', major, minor, rule.access & BPF_DEVCG_ACC_READ ? "r" : "",
			rule.access & BPF_DEVCG_ACC_WRITE ? "w" : "", rule.access & BPF_DEVCG_ACC_MKNOD ? "m" : "");
		if (write_control(dir, "devices.allow", rule.type == 0 ? "a" : text) < 0) return -1;
	}
	return 0;
}

/* --- cgroup v2 --- */

static struct bpf_insn instruction(int code, int dst, int src, int offset, int32_t value) {
	return (struct bpf_insn){.code = (uint8_t)code, .dst_reg = (uint8_t)(dst & 15), .src_reg = (uint8_t)(src & 15), .off = (int16_t)offset, .imm = value};
}

/* Registers: r2 type, r3 access, r4 major, r5 minor; r1 the context. A rule that does not match jumps to the next one. */
static uint32_t assemble(struct bpf_insn *program, const uint8_t *blob, uint32_t count) {
	enum { LOAD = BPF_LDX | BPF_MEM | BPF_W, MOVE = BPF_ALU64 | BPF_MOV, NOT_EQUAL = BPF_JMP32 | BPF_JNE | BPF_K };
	uint32_t at = 0;
	program[at++] = instruction(LOAD, BPF_REG_2, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	program[at++] = instruction(MOVE | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
	program[at++] = instruction(BPF_ALU | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
	program[at++] = instruction(BPF_ALU | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
	program[at++] = instruction(LOAD, BPF_REG_4, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	program[at++] = instruction(LOAD, BPF_REG_5, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
	for (uint32_t i = 0; i < count; i++) {
		const struct device_rule rule = rule_at(blob, i);
		struct bpf_insn *jumps[4];
		unsigned jump_count = 0;
		if (rule.type != 0) program[at] = instruction(NOT_EQUAL, BPF_REG_2, 0, 0, (int32_t)rule.type), jumps[jump_count++] = &program[at++];
		if (rule.access != ALL_ACCESS) { /* nothing may be asked for that the rule does not have */
			program[at] = instruction(BPF_JMP32 | BPF_JSET | BPF_K, BPF_REG_3, 0, 0, (int32_t)~rule.access);
			jumps[jump_count++] = &program[at++];
		}
		if (rule.major != ANY) program[at] = instruction(NOT_EQUAL, BPF_REG_4, 0, 0, (int32_t)rule.major), jumps[jump_count++] = &program[at++];
		if (rule.minor != ANY) program[at] = instruction(NOT_EQUAL, BPF_REG_5, 0, 0, (int32_t)rule.minor), jumps[jump_count++] = &program[at++];
		program[at++] = instruction(MOVE | BPF_K, BPF_REG_0, 0, 0, 1);
		program[at++] = instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
		if (jump_count == 0) return at; /* everything: the verifier takes no instructions that can never be reached */
		for (unsigned j = 0; j < jump_count; j++) jumps[j]->off = (int16_t)(&program[at] - jumps[j] - 1);
	}
	program[at++] = instruction(MOVE | BPF_K, BPF_REG_0, 0, 0, 0);
	program[at++] = instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return at;
}

static int attach_program(int dir, const uint8_t *blob, uint32_t count) {
	struct bpf_insn program[8 + MAX_DEVICE_RULES * RULE_INSTRUCTIONS];
	union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE, .insns = (uintptr_t)program, .license = (uintptr_t) "Apache-2.0"};
	load.insn_cnt = assemble(program, blob, count);
	CLEANUP_FD int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
	if (fd < 0) return -1;
	/* Override: a container's own program replaces the one above it, and a second one of the same cgroup the first. */
	union bpf_attr attach = {.target_fd = (uint32_t)dir, .attach_bpf_fd = (uint32_t)fd, .attach_type = BPF_CGROUP_DEVICE, .attach_flags = BPF_F_ALLOW_OVERRIDE};
	return (int)syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach);
}

int set_device_rules(const char *cgroup, const uint8_t *blob, uint32_t length) {
	struct statfs fs;
	CLEANUP_FD int dir = open(cgroup, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || fstatfs(dir, &fs) < 0) return -1;
	uint32_t count = length / (uint32_t)sizeof(struct device_rule);
	if (fs.f_type == CGROUP2_SUPER_MAGIC) return attach_program(dir, blob, count);
	if (fs.f_type == CGROUP_SUPER_MAGIC) return write_rules(dir, blob, count);
	errno = EINVAL;
	return -1;
}

/* `tepui-launcher devices DIR`: rules on standard input. */
int run_devices(const char *cgroup) {
	uint8_t blob[MAX_DEVICE_RULES * sizeof(struct device_rule) + 1];
	uint32_t length = 0;
	for (ssize_t n; length < sizeof blob && (n = RETRY(read(0, blob + length, sizeof blob - length))) != 0; length += (uint32_t)n)
		if (n < 0) break;
	const char *wrong = check_device_rules(blob, length);
	if (wrong) return fprintf(stderr, "tepui-launcher: %s\n", wrong) < 0 ? 1 : 2;
	if (set_device_rules(cgroup, blob, length) == 0) return 0;
	fprintf(stderr, "tepui-launcher: cannot set the device rules of %s: %s\n", cgroup, strerror(errno));
	return 1;
}

/* --- AppArmor --- */

/* The profile that the next exec changes to. What is written to must be the kernel's own file: the container's files are not trusted. */
int set_apparmor(const char *profile) {
	static const char *const paths[] = {"/proc/self/attr/apparmor/exec", "/proc/self/attr/exec"};
	struct statfs fs;
	char text[300];
	int length = snprintf(text, sizeof text, "exec %s", profile);
	for (int i = 0; i < 2; i++) {
		CLEANUP_FD int fd = open(paths[i], O_WRONLY | O_CLOEXEC);
		if (fd < 0) continue;
		if (fstatfs(fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC) {
			errno = EINVAL;
			return -1;
		}
		return write(fd, text, (size_t)length) == length ? 0 : -1;
	}
	return -1;
}
