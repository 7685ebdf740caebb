// SPDX-License-Identifier: LGPL-2.1-or-later
/* A log that goes on in another file: one chain over both, wherever its writer dies meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <sodium.h>

#include "policy/audit.h"
#include "policy/chain.h"
#include "policy/note.h"
#include "policy/verify.h"
#include "policy/jsonline.h"
#include "tests/unit/leave_out.h"
#include "tests/unit/log_open.h"

#define INSTANCE UINT64_C(0xfedcba9876543210)
#define OTHER UINT64_C(7)
#define FILES 512

/* --- a writer that dies, or whose disk is full ---------------------------------- */

int fdatasync(int fd);
ssize_t write(int fd, const void *data, size_t size);

static long dies_in; /* system calls; 0 never */
static unsigned int dies_how;
static int full_fd = -1; /* takes nothing, */
static bool half;	 /* or half of it */

static void count_down(int fd, const void *data, size_t size)
{
	if (!dies_in || --dies_in)
		return;
	if (data && dies_how == 1)
		syscall(SYS_write, fd, data, size / 2);
	if (data && dies_how == 2)
		syscall(SYS_write, fd, data, size);
	raise(SIGKILL);
}

int fdatasync(int fd)
{
	count_down(fd, NULL, 0);
	return 0;
}

ssize_t write(int fd, const void *data, size_t size)
{
	if (fd == full_fd && half) {
		half = false;
		return syscall(SYS_write, fd, data, size / 2);
	}
	if (fd == full_fd) {
		errno = ENOSPC;
		return -1;
	}
	count_down(fd, data, size);
	return syscall(SYS_write, fd, data, size);
}

/* --- its files ------------------------------------------------------------------- */

static char folder[32];
static char paths[FILES][64];
static unsigned int files;
static int chain_fd;
static struct rf_chain *chain;
static struct rf_note_key secret, public_key;

static int new_file(void)
{
	int fd;

	assert_in_range(files, 0, FILES - 1);
	snprintf(paths[files], sizeof(paths[0]), "%s/%u", folder, files);
	fd = open(paths[files++], O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd > 0);
	return fd;
}

static int again(int fd)
{
	int copy = fd > 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : 0;

	assert_true(copy >= 0);
	return copy;
}

static int map_chain(void)
{
	bool anew;
	int err = rf_chain_take(chain_fd, &chain, &anew);

	return err ? err : anew ? -EPROTO : 0;
}

static int setup(void **state)
{
	char text[RF_NOTE_KEY_TEXT];

	strcpy(folder, "/tmp/rf-rotate-XXXXXX");
	files = 0;
	dies_in = 0;
	full_fd = -1;
	half = false;
	chain_fd = rf_chain_create();
	if (sodium_init() < 0 || !mkdtemp(folder) || chain_fd < 0 || map_chain())
		return -1;
	rf_note_key_generate("one", &secret);
	rf_note_public_text(&secret, text);
	return rf_note_public_parse(text, strlen(text), &public_key);
}

static int teardown(void **state)
{
	if (getenv("RF_FOUND"))
		return 0;
	for (unsigned int i = 0; i < files; i++)
		unlink(paths[i]);
	rmdir(folder);
	munmap(chain, sizeof(*chain));
	close(chain_fd);
	return 0;
}

/* As a monitor does; it owns both. */
static struct rf_audit *open_log(int before, int fd, struct rf_chain *c)
{
	const struct rf_audit_setup how = {
		.vm = "vm", .instance = INSTANCE, .chain = c, .before_fd = before, .key = &secret
	};
	struct rf_audit *a = NULL;

	assert_int_equal(rf_audit_open_setup(fd, &how, &a), 0);
	return a;
}

static void decide(struct rf_audit *a, uint64_t event)
{
	const struct rf_audit_answer deny = { .verdict = RF_ANSWERED_DENY };
	const struct rf_record r = { .event = event,
				     .kind = "write",
				     .rule = "rodata-is-never-written",
				     .verdict = RF_WORD_BLOCKED,
				     .answer = &deny };

	assert_int_equal(rf_audit_write(a, &r), 0);
}

/* --- what is in them --------------------------------------------------------------- */

static struct {
	unsigned int kinds[RF_FOUND_KINDS];
	unsigned int count;
	uint64_t from, to; /* of the last EARLIER, LOST_TOLD */
} found;
static struct rf_verified one;

static void keep(void *ctx, const struct rf_finding *f)
{
	found.kinds[f->kind]++;
	if (getenv("RF_FOUND"))
		print_message("%s: file %u line %llu seq %llu to %llu\n", rf_finding_text(f->kind),
			      f->file, (unsigned long long)f->line, (unsigned long long)f->seq,
			      (unsigned long long)f->to);
	found.count++;
	if (f->kind == RF_FOUND_EARLIER || f->kind == RF_FOUND_LOST_TOLD) {
		found.from = f->seq;
		found.to = f->to;
	}
}

static void feed(struct rf_verify *v, unsigned int file)
{
	FILE *f = fopen(paths[file], "r");
	char *line = NULL;
	size_t room = 0;
	uint64_t n = 0;
	ssize_t len;

	assert_non_null(f);
	while ((len = getline(&line, &room, f)) > 0) {
		bool whole = line[len - 1] == '\n';

		assert_int_equal(rf_verify_line(v, file, ++n, line, (size_t)len - whole, whole), 0);
	}
	free(line);
	fclose(f);
}

static enum rf_verdict_of_log verify(unsigned int from, unsigned int to,
				     const struct rf_note_key *key)
{
	struct rf_verify *v = rf_verify_create(keep, NULL);
	enum rf_verdict_of_log verdict;

	memset(&found, 0, sizeof(found));
	rf_verify_trust(v, key);
	for (unsigned int i = from; i < to; i++)
		feed(v, i);
	verdict = rf_verify_finish(v);
	one = rf_verify_count(v) ? *rf_verify_instance(v, 0) : (struct rf_verified){ 0 };
	rf_verify_destroy(v);
	return verdict;
}

/* Line n of a file, from 0; from its end, where n is negative. */
static json_t *line_of(unsigned int file, int n)
{
	FILE *f = fopen(paths[file], "r");
	char *line = NULL;
	size_t room = 0;
	int at = 0, count = 0;
	json_t *o = NULL;

	assert_non_null(f);
	while (getline(&line, &room, f) > 0)
		count++;
	rewind(f);
	while (getline(&line, &room, f) > 0)
		if (at++ == (n < 0 ? count + n : n))
			o = json_loads(line, 0, NULL);
	free(line);
	fclose(f);
	assert_non_null(o);
	return o;
}

static void assert_line(unsigned int file, int n, const char *type)
{
	json_t *o = line_of(file, n);

	assert_string_equal(json_string_value(json_object_get(o, "type")), type);
	json_decref(o);
}

static void assert_linked(unsigned int file)
{
	json_t *last = line_of(file, -1), *first = line_of(file + 1, 0);

	assert_string_equal(json_string_value(json_object_get(first, "prev")),
			    json_string_value(json_object_get(last, "hash")));
	assert_int_equal(json_integer_value(json_object_get(first, "seq")),
			 json_integer_value(json_object_get(last, "seq")) + 1);
	json_decref(last);
	json_decref(first);
}

/* --- a rotation -------------------------------------------------------------------- */

static void one_chain(void **state)
{
	struct rf_audit *a = open_log(0, new_file(), chain);

	for (int i = 1; i <= 5; i++)
		decide(a, (uint64_t)i);
	assert_int_equal(rf_audit_rotate(a, new_file()), 0);
	assert_line(0, -2, "rotated");
	assert_line(0, -1, "checkpoint");
	assert_line(1, 0, "continued");
	assert_linked(0);
	/* What was decided before is known still. */
	assert_true(rf_audit_has_event(a, 3));
	decide(a, 6);
	assert_int_equal(rf_audit_end(a, NULL), 0);
	rf_audit_close(a);
	assert_int_equal(verify(0, 2, &public_key), RF_LOG_INTACT);
	assert_int_equal(found.count, 0);
	assert_int_equal(one.records, 11); /* with two checkpoints */
	assert_int_equal(verify(0, 2, NULL), RF_LOG_INTACT);
}

static void a_file_alone(void **state)
{
	struct rf_audit *a = open_log(0, new_file(), chain);

	for (int i = 1; i <= 5; i++)
		decide(a, (uint64_t)i);
	assert_int_equal(rf_audit_rotate(a, new_file()), 0);
	decide(a, 6);
	assert_int_equal(rf_audit_rotate(a, new_file()), 0);
	decide(a, 7);
	assert_int_equal(rf_audit_end(a, NULL), 0);
	rf_audit_close(a);
	/* The first one says that there is another, */
	assert_int_equal(verify(0, 1, &public_key), RF_LOG_OPEN_END);
	assert_int_equal(found.kinds[RF_FOUND_ROTATED], 1);
	assert_int_equal(found.kinds[RF_FOUND_OPEN_END], 0);
	/* and the last one what it lacks. */
	assert_int_equal(verify(2, 3, &public_key), RF_LOG_OPEN_BEGIN);
	assert_int_equal(found.count, 1);
	assert_int_equal(found.kinds[RF_FOUND_EARLIER], 1);
	assert_int_equal(found.from, 1);
	assert_int_equal(found.to, one.first - 1);
	assert_int_equal(one.checkpoints, 1);
	assert_int_equal(verify(1, 3, NULL), RF_LOG_OPEN_BEGIN);
	/* What lies between two files that are there is lost. */
	unlink(paths[1]);
	rename(paths[2], paths[1]);
	assert_int_equal(verify(0, 2, NULL), RF_LOG_NOT_INTACT);
	assert_int_equal(found.kinds[RF_FOUND_LOST], 1);
}

/* The signed roots are compared though the first lines are not there: a line that was made anew,
 * with all that follows, is found. */
static void signatures_of_a_file_alone(void **state)
{
	struct rf_audit *a = open_log(0, new_file(), chain);
	char *line = NULL, text[1 << 16], prev[65] = "";
	size_t room = 0;
	FILE *from, *to;

	for (int i = 1; i <= 5; i++)
		decide(a, (uint64_t)i);
	assert_int_equal(rf_audit_rotate(a, new_file()), 0);
	decide(a, 6);
	assert_int_equal(rf_audit_end(a, NULL), 0);
	rf_audit_close(a);
	from = fopen(paths[1], "r");
	new_file();
	to = fopen(paths[2], "w");
	while (getline(&line, &room, from) > 0) {
		char *hash = strstr(line, ",\"hash\":"), *at = strstr(line, "rodata-is-never");
		uint8_t sum[32];

		if (at)
			memcpy(at, "rodata-is-fully", 15);
		*hash = '\0';
		if (prev[0])
			memcpy(strstr(line, "\"prev\":\"") + 8, prev, 64);
		crypto_hash_sha256(sum, (const uint8_t *)line, strlen(line));
		sodium_bin2hex(prev, sizeof(prev), sum, sizeof(sum));
		snprintf(text, sizeof(text), "%s,\"hash\":\"%s\"}\n", line, prev);
		fputs(text, to);
	}
	free(line);
	fclose(from);
	fclose(to);
	assert_int_equal(verify(1, 2, &public_key), RF_LOG_OPEN_BEGIN);
	assert_int_equal(verify(2, 3, &public_key), RF_LOG_NOT_INTACT);
	assert_int_equal(found.kinds[RF_FOUND_FALSE_CHECKPOINT], 1);
}

static void refused(void **state)
{
	struct rf_audit *a = open_log(0, new_file(), chain);
	int ends[2], fd = open(paths[0], O_RDWR | O_APPEND);

	decide(a, 1);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(rf_audit_rotate(a, ends[1]), -EINVAL);
	assert_int_equal(rf_audit_rotate(a, fd), -EEXIST);
	close(fd);
	close(ends[0]);
	close(ends[1]);
	/* Nothing has changed. */
	assert_int_equal(rf_audit_end(a, NULL), 0);
	rf_audit_close(a);
	assert_int_equal(verify(0, 1, &public_key), RF_LOG_INTACT);
	assert_int_equal(one.records, 3);
}

/* The disk of the old file is full, as it may be: that is why it is rotated. */
static void old_disk_full(void **state)
{
	int fd = new_file();
	struct rf_audit *a = open_log(0, fd, chain);

	decide(a, 1);
	full_fd = fd;
	assert_int_equal(rf_audit_rotate(a, new_file()), 0);
	full_fd = -1;
	decide(a, 2);
	rf_audit_end(a, NULL);
	rf_audit_close(a);
	assert_line(0, -1, "decision");
	assert_line(1, 0, "continued");
	assert_int_equal(verify(0, 2, &public_key), RF_LOG_INTACT);
}

/* Half of its last line: the first one in the new file says so. */
static void old_disk_full_half_way(void **state)
{
	int fd = new_file();
	struct rf_audit *a = open_log(0, fd, chain);
	json_t *o;

	decide(a, 1);
	full_fd = fd;
	half = true;
	assert_int_equal(rf_audit_rotate(a, new_file()), 0);
	full_fd = -1;
	assert_false(half);
	rf_audit_end(a, NULL);
	rf_audit_close(a);
	o = line_of(1, 0);
	assert_true(json_is_true(json_object_get(o, "after_torn")));
	json_decref(o);
	assert_int_equal(verify(0, 2, &public_key), RF_LOG_INTACT);
	assert_int_equal(found.count, 1);
	assert_int_equal(found.kinds[RF_FOUND_TORN_TOLD], 1);
	/* Alone nobody excuses it. */
	assert_int_equal(verify(0, 1, NULL), RF_LOG_OPEN_END);
	assert_int_equal(found.kinds[RF_FOUND_TORN], 1);
}

/* That of the new one: the next line that it takes comes behind what it begins with. */
static void new_disk_full(void **state)
{
	struct rf_audit *a = open_log(0, new_file(), chain);
	int fd = new_file();

	decide(a, 1);
	full_fd = fd;
	assert_int_equal(rf_audit_rotate(a, fd), 0);
	assert_int_equal(rf_audit_outcome(a, 1, "ok"), -ENOSPC);
	full_fd = -1;
	decide(a, 2);
	rf_audit_end(a, NULL);
	rf_audit_close(a);
	assert_line(1, 0, "continued");
	assert_int_equal(verify(0, 2, &public_key), RF_LOG_INTACT);
}

/* --- who comes after ---------------------------------------------------------------- */

/* It was asked to rotate, and died before; or it was another one's turn right then. */
static void done_by_the_next(void **state)
{
	struct rf_audit_decision d;
	int old = new_file(), fd;
	struct rf_audit *a = open_log(0, again(old), chain);

	decide(a, 1);
	rf_audit_close(a);
	fd = new_file();
	a = open_log(again(old), again(fd), chain);
	assert_line(0, -1, "checkpoint");
	assert_line(1, 0, "continued");
	assert_linked(0);
	/* Its decisions are read from the old one, as long as that is there. */
	assert_true(rf_audit_decision(a, 1, &d));
	assert_true(d.exact);
	decide(a, 2);
	rf_audit_close(a);
	a = open_log(again(old), again(fd), chain);
	assert_true(rf_audit_decision(a, 1, &d));
	assert_true(rf_audit_decision(a, 2, &d));
	rf_audit_end(a, NULL);
	rf_audit_close(a);
	close(old);
	close(fd);
	assert_int_equal(verify(0, 2, &public_key), RF_LOG_INTACT);
}

/* The same without the memory: what the new file has of this instance says. */
static void without_memory(void **state)
{
	int old = new_file(), fd = new_file();
	struct rf_audit *a = open_log(0, again(old), NULL);

	decide(a, 1);
	rf_audit_close(a);
	a = open_log(again(old), again(fd), NULL);
	decide(a, 2);
	rf_audit_close(a);
	a = open_log(again(old), again(fd), NULL);
	rf_audit_end(a, NULL);
	rf_audit_close(a);
	close(old);
	close(fd);
	assert_int_equal(verify(0, 2, NULL), RF_LOG_INTACT);
	assert_line(0, -1, "rotated");
}

/* Neither file has it. */
static void lost_all_the_same(void **state)
{
	int old = new_file(), fd = new_file();
	struct rf_audit *a = open_log(0, again(old), chain);

	decide(a, 1);
	decide(a, 2);
	rf_audit_close(a);
	assert_int_equal(ftruncate(old, 0), 0);
	a = open_log(again(old), again(fd), chain);
	rf_audit_end(a, NULL);
	rf_audit_close(a);
	close(old);
	close(fd);
	assert_line(1, 0, "gap");
	assert_int_equal(verify(0, 2, NULL), RF_LOG_NOT_INTACT);
	assert_int_equal(found.kinds[RF_FOUND_LOST_TOLD], 1);
	assert_int_equal(found.to, 2);
}

/* --- a log that is cut under its writer's hands --------------------------------------- */

static void copied_and_truncated(void **state)
{
	int fd = new_file(), copy;
	struct rf_audit *a = open_log(0, again(fd), chain);
	char text[4096];
	ssize_t n;

	for (int i = 1; i <= 3; i++)
		decide(a, (uint64_t)i);
	assert_int_equal(rf_audit_cuts(a), 0);
	n = pread(fd, text, sizeof(text), 0);
	copy = new_file();
	assert_int_equal(syscall(SYS_write, copy, text, (size_t)n), n);
	close(copy);
	/* A line that came between the two. */
	decide(a, 4);
	assert_int_equal(ftruncate(fd, 0), 0);
	decide(a, 5);
	decide(a, 6);
	assert_int_equal(rf_audit_cuts(a), 1);
	rf_audit_end(a, NULL);
	rf_audit_close(a);
	close(fd);
	assert_line(0, 0, "gap");
	assert_line(0, 1, "decision");
	assert_int_equal(verify(0, 1, NULL), RF_LOG_NOT_INTACT);
	assert_int_equal(found.kinds[RF_FOUND_LOST_TOLD], 1);
	assert_int_equal(found.to, 4);
	/* With the copy before it the one line is missing. */
	snprintf(paths[2], sizeof(paths[2]), "%s/2", folder);
	rename(paths[0], paths[2]);
	files = 3;
	assert_int_equal(verify(1, 3, NULL), RF_LOG_NOT_INTACT);
	assert_int_equal(found.kinds[RF_FOUND_LOST_TOLD], 1);
	assert_int_equal(found.from, 4);
	assert_int_equal(found.to, 4);
}

/* Some of it is left, and another VM writes to it. */
static void cut_in_part(void **state)
{
	int fd = new_file();
	struct rf_audit *a = open_log(0, again(fd), chain), *b = NULL;
	struct stat st;

	decide(a, 1);
	assert_int_equal(fstat(fd, &st), 0);
	decide(a, 2);
	assert_int_equal(log_open_fd(again(fd), "other", OTHER, &b), 0);
	assert_int_equal(ftruncate(fd, st.st_size), 0);
	for (int i = 1; i <= 9; i++)
		decide(b, (uint64_t)i);
	rf_audit_end(b, NULL);
	rf_audit_close(b);
	decide(a, 3);
	assert_int_equal(rf_audit_cuts(a), 1);
	rf_audit_end(a, NULL);
	rf_audit_close(a);
	close(fd);
	assert_int_equal(verify(0, 1, NULL), RF_LOG_NOT_INTACT);
	assert_int_equal(found.kinds[RF_FOUND_LOST_TOLD], 1);
	assert_int_equal(found.from, 2);
	assert_int_equal(found.to, 2);
	/* What was signed behind it is of that line, too. */
	assert_int_equal(found.kinds[RF_FOUND_NOT_COMPUTED], 1);
	assert_int_equal(found.count, 2);
	assert_int_equal(one.checkpoints, 0);
	assert_int_equal(verify(0, 1, &public_key), RF_LOG_NOT_INTACT);
	assert_int_equal(one.checkpoints, 0);
	assert_int_equal(one.covered, 0);
	assert_false(one.ended);
}

/* --- at random ------------------------------------------------------------------------ */

#define ROUNDS (rounds(400))

static uint64_t random_state;

static unsigned int any(unsigned int below)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned int)(random_state >> 33) % below;
}

/* What was answered for: shared with the writers. */
struct shared {
	volatile uint64_t acknowledged; /* event ids up to this one are on record */
	volatile bool asked;		/* the writer got a new file */
};

/* A monitor's life: it writes, is asked to rotate into `next` (0: it is not), and dies, or ends. */
static _Noreturn void live(struct shared *s, int before, int fd, int next)
{
	unsigned int lines = 1 + any(12), rotates = any(12);
	struct rf_audit *a;

	if (any(8)) {
		dies_in = 1 + any(40);
		dies_how = any(3);
	}
	a = open_log(again(before), again(fd), chain);
	for (unsigned int i = 0; i < lines; i++) {
		if (next && i == rotates && rf_chain_is_in(chain_fd, fd)) {
			s->asked = true;
			rf_audit_rotate(a, again(next));
		}
		decide(a, s->acknowledged + 1);
		s->acknowledged++;
	}
	raise(SIGKILL);
	_exit(1);
}

/* Each event that was answered for is on record, in whichever file. */
static void assert_recorded(uint64_t events)
{
	bool *there = calloc(events + 2, 1);
	char *line = NULL;
	size_t room = 0;

	for (unsigned int i = 0; i < files; i++) {
		FILE *f = fopen(paths[i], "r");

		while (getline(&line, &room, f) > 0) {
			char *at = strstr(line, "\"event\":");
			uint64_t event = at && line[0] == '{' ? strtoull(at + 8, NULL, 10) : 0;

			if (event && event <= events + 1)
				there[event] = true;
		}
		fclose(f);
	}
	free(line);
	for (uint64_t i = 1; i <= events; i++)
		assert_true(there[i]);
	free(there);
}

static void killed_and_rotated(void **state)
{
	struct shared *s =
		mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int before = 0, fd = new_file(), status;
	const char *seed = getenv("RF_SEED");
	struct rf_audit *a;
	unsigned int rotations = 0;

	random_state = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
	print_message("RF_SEED=%llu\n", (unsigned long long)random_state);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		int next = any(2) && files < FILES - 1 ? new_file() : 0;
		pid_t pid;

		s->asked = false;
		pid = fork();
		if (!pid)
			live(s, before, fd, next);
		any(1 + round % 7);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		/* As `run` does when a monitor dies that was to rotate. */
		if (next && !s->asked) {
			close(next);
			unlink(paths[--files]);
		} else if (next) {
			rotations++;
			if (before)
				close(before);
			before = fd;
			fd = next;
		}
		/* And after a while. */
		if (before && !any(3) && rf_chain_is_in(chain_fd, fd)) {
			close(before);
			before = 0;
		}
	}
	a = open_log(again(before), again(fd), chain);
	rf_audit_end(a, NULL);
	rf_audit_close(a);
	close(fd);
	if (before)
		close(before);
	assert_in_range(rotations, ROUNDS / 20, ROUNDS);
	assert_int_equal(verify(0, files, &public_key), RF_LOG_INTACT);
	assert_int_equal(found.count, found.kinds[RF_FOUND_TORN_TOLD]);
	assert_int_equal(one.records, one.last);
	assert_in_range(s->acknowledged, ROUNDS / 4, UINT32_MAX);
	assert_recorded(s->acknowledged);
	for (unsigned int i = 0; i < files; i++)
		assert_in_range(verify(i, i + 1, NULL), RF_LOG_OPEN_END, RF_LOG_OPEN_BEGIN);
	munmap(s, sizeof(*s));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(one_chain),
		T(a_file_alone),
		T(signatures_of_a_file_alone),
		T(refused),
		T(old_disk_full),
		T(old_disk_full_half_way),
		T(new_disk_full),
		T(done_by_the_next),
		T(without_memory),
		T(lost_all_the_same),
		T(copied_and_truncated),
		T(cut_in_part),
		T(killed_and_rotated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
