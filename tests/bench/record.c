// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * record MODE LOG N: a monitor's own code writes N records about one VM to LOG, and says what that
 * took: "N records, L lines, W writes, F flushes, B bytes, T ns".
 *
 *	durable   each a denial with a line of its own, flushed, as the product does it
 *	folded    denials of twelve places, again and again: in full or counted, as the product does
 * it unflushed the same kinds that a VM's log has, for a reader: nothing reaches the disk signed so,
 * with checkpoints; LOG.pub is their key
 *
 * Its write(2) and fdatasync(2) stand in front of libc's and count.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "monitor/monitor.h"
#include "policy/foldlog.h"
#include "policy/note.h"

#define PLACES 12u

static int log_fd;
static bool flushes_really = true;
static uint64_t writes, flushes;

int fdatasync(int fd);
ssize_t write(int fd, const void *data, size_t size);

ssize_t write(int fd, const void *data, size_t size)
{
	writes += fd == log_fd;
	return syscall(SYS_write, fd, data, size);
}

int fdatasync(int fd)
{
	flushes += fd == log_fd;
	return flushes_really ? (int)syscall(SYS_fdatasync, fd) : 0;
}

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "record: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* With all members that a store to sealed rodata has on record. */
static struct rf_record denial(uint64_t event)
{
	static struct rf_audit_answer fault = { .verdict = RF_ANSWERED_DENY,
						.has_fault = true,
						.has_gpr = true,
						.vector = 14,
						.error_code = 3,
						.cr2 = 0xffffffff82000280,
						.rip = 0xffffffffc0201234,
						.rflags = 0x10246 };
	struct rf_record r = { .event = event,
			       .vcpu = (uint32_t)(event % 4),
			       .kind = "write",
			       .region = "rodata",
			       .has_target = true,
			       .target = { 0xffffffff82000280 + event % PLACES * 8,
					   "sys_call_table", event % PLACES * 8, "" },
			       .has_writer = true,
			       .writer = { 0xffffffffc0201234, "hook_install", 0x34, "rootkit" },
			       .has_task = true,
			       .task = "insmod",
			       .pid = 4242,
			       .gpa = 0x2000280 + event % PLACES * 8,
			       .len = 8,
			       .has_old = true,
			       .has_new = true,
			       .old_bytes = { 0x10, 0x32, 0x54, 0x81, 0xff, 0xff, 0xff, 0xff },
			       .new_bytes = { 0x00, 0x10, 0x20, 0xc0, 0xff, 0xff, 0xff, 0xff },
			       .disassembly = "mov qword ptr [rax], rdx",
			       .rule = "rodata-is-never-written",
			       .verdict = RF_WORD_BLOCKED,
			       .outcome = "page fault",
			       .answer = &fault };

	for (int i = 0; i < 16; i++)
		fault.gpr[i] = 0xffffffff81000000 + event * 16 + (uint64_t)i;
	return r;
}

static struct rf_record register_write(uint64_t event)
{
	static const struct rf_audit_answer fault = { .verdict = RF_ANSWERED_DENY,
						      .has_fault = true,
						      .vector = 13,
						      .rip = 0xffffffff81051230,
						      .rflags = 0x246 };

	return (struct rf_record){ .event = event,
				   .kind = "msr",
				   .has_writer = true,
				   .writer = { 0xffffffff81051230, "native_write_msr", 0x10, "" },
				   .rule = "msr-is-pinned",
				   .verdict = RF_WORD_BLOCKED,
				   .outcome = "general protection fault",
				   .detail = "LSTAR (MSR 0xc0000082) <- 0xffffffffc0201000",
				   .answer = &fault };
}

/* --- what is done N times ------------------------------------------------------- */

static void durable(struct rf_guest *g, uint64_t n)
{
	const struct rf_record r = denial(n);

	must(!rf_audit_write(g->audit, &r), "the log");
}

static void folded(struct rf_guest *g, uint64_t n)
{
	const struct rf_record r = denial(n);

	must(!rf_record_write(g, &r), "the record");
	if (n % 100 == 0)
		rf_record_flush(g, false);
}

/* Denials with their outcomes; of sixteen lines one is a note, two are of registers. */
static void mixed(struct rf_guest *g, uint64_t n)
{
	const struct rf_record r = n % 8 == 6 ? register_write(n) : denial(n);

	if (n % 16 == 15)
		must(!rf_note(g, "seal", "sealed again", NULL), "a note");
	else if (n % 2)
		must(!rf_audit_outcome(g->audit, n - 1, "ok"), "an outcome");
	else
		must(!rf_audit_write(g->audit, &r), "a denial");
	must(!rf_audit_tick(g->audit), "a checkpoint");
}

static const struct {
	const char *name;
	void (*one)(struct rf_guest *g, uint64_t n);
	bool flushed, is_signed;
} modes[] = {
	{ "durable", durable, true, false },
	{ "folded", folded, true, false },
	{ "signed", mixed, false, true },
};

/* --- a monitor ------------------------------------------------------------------ */

static void make_key(const char *log, struct rf_note_key *key)
{
	char path[4096], text[RF_NOTE_KEY_TEXT];
	FILE *f;

	rf_note_key_generate("ringfence-audit", key);
	rf_note_public_text(key, text);
	snprintf(path, sizeof(path), "%s.pub", log);
	f = fopen(path, "w");
	must(f && fputs(text, f) >= 0 && !fclose(f), "the key");
}

static uint64_t lines_of(const char *path)
{
	FILE *f = fopen(path, "r");
	uint64_t n = 0;
	int c;

	must(f, path);
	while ((c = getc_unlocked(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

static void report(const char *log, uint64_t n, uint64_t ns)
{
	struct stat st;

	must(!stat(log, &st), log);
	printf("%" PRIu64 " records, %" PRIu64 " lines, %" PRIu64 " writes, %" PRIu64
	       " flushes, %lld bytes, %" PRIu64 " ns\n",
	       n, lines_of(log), writes, flushes, (long long)st.st_size, ns);
}

static void run(size_t mode, const char *log, uint64_t n)
{
	static struct rf_guest g = { .notify_fd = -1 };
	static struct rf_note_key key;
	struct rf_audit_setup setup = { .vm = "bench", .instance = 7 };
	uint64_t began;

	if (modes[mode].is_signed) {
		make_key(log, &key);
		setup.key = &key;
	}
	rf_policy_default(&g.policy);
	log_fd = open(log, O_RDWR | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(log_fd >= 0, log);
	must(!rf_audit_open_setup(log_fd, &setup, &g.audit) && !rf_record_begin(&g, 7), "the log");
	flushes_really = modes[mode].flushed;
	writes = flushes = 0;
	began = rf_fold_now().mono_ns;
	for (uint64_t i = 2; i < n + 2; i++) /* no event is 0 */
		modes[mode].one(&g, i);
	if (modes[mode].one == mixed)
		must(!rf_record_end(&g), "the end");
	else
		rf_record_flush(&g, true);
	report(log, n, rf_fold_now().mono_ns - began);
	rf_audit_close(g.audit);
}

int main(int argc, char **argv)
{
	long n = argc == 4 ? atol(argv[3]) : 0;

	for (size_t i = 0; n > 0 && i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(argv[1], modes[i].name)) {
			must(sodium_init() >= 0, "libsodium");
			run(i, argv[2], (uint64_t)n);
			return 0;
		}
	fprintf(stderr, "usage: record durable|folded|signed LOG N\n");
	return 2;
}
