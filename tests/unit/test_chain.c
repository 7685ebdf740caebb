// SPDX-License-Identifier: LGPL-2.1-or-later
/* The chain of a log's lines: what stands in it, and that it goes on rightly wherever its writer
 * died, whatever became of the file, and whoever else writes to it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <sodium.h>

#include "policy/audit.h"
#include "policy/audit_tail.h"
#include "policy/chain.h"

#define INSTANCE UINT64_C(0xfedcba9876543210)
#define OTHER UINT64_C(7)
#define BOOT "0f0e0d0c-0b0a-4908-8706-050403020100"

int fdatasync(int fd);
ssize_t write(int fd, const void *data, size_t size);

/* What happens to a writer, at its next write and flush. */
static enum { LIVES, DIES_HALF_WAY, DIES_BEFORE_FLUSH, DIES_AFTER_FLUSH, FLUSH_FAILS } fate;

int fdatasync(int fd)
{
	if (fate == DIES_BEFORE_FLUSH)
		raise(SIGKILL);
	if (fate == FLUSH_FAILS) {
		errno = EIO;
		return -1;
	}
	if (fate == DIES_AFTER_FLUSH)
		raise(SIGKILL);
	return 0;
}

ssize_t write(int fd, const void *data, size_t size)
{
	if (fate == DIES_HALF_WAY) {
		syscall(SYS_write, fd, data, size / 2);
		raise(SIGKILL);
	}
	return syscall(SYS_write, fd, data, size);
}

static char path[32];
static int chain_fd;
static struct rf_chain *chain;

/* It is a chain: a fault of `run` or of a monitor that died is none of these tests'. */
static int map_chain(void)
{
	bool anew;
	int err = rf_chain_take(chain_fd, &chain, &anew);

	return err ? err : anew ? -EPROTO : 0;
}

static int setup(void **state)
{
	int fd;

	strcpy(path, "/tmp/rf-chain-XXXXXX");
	fd = mkstemp(path);
	close(fd);
	chain_fd = rf_chain_create();
	fate = LIVES;
	return fd < 0 || chain_fd < 0 || map_chain() ? -1 : 0;
}

static int teardown(void **state)
{
	munmap(chain, sizeof(*chain));
	close(chain_fd);
	unlink(path);
	return 0;
}

static struct rf_audit *open_as(uint64_t instance, struct rf_chain *c)
{
	const struct rf_audit_setup how = {
		.vm = "vm", .instance = instance, .boot_id = BOOT, .chain = c
	};
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	struct rf_audit *a = NULL;

	assert_true(fd >= 0);
	assert_int_equal(rf_audit_open_setup(fd, &how, &a), 0);
	return a;
}

/* As the next monitor does: it maps what `run` kept. */
static struct rf_audit *next_writer(void)
{
	munmap(chain, sizeof(*chain));
	assert_int_equal(map_chain(), 0);
	return open_as(INSTANCE, chain);
}

static void put(struct rf_audit *a, unsigned int lines)
{
	while (lines--)
		assert_int_equal(rf_audit_outcome(a, 1, "ok"), 0);
}

static void write_lines(unsigned int lines)
{
	struct rf_audit *a = next_writer();

	put(a, lines);
	rf_audit_close(a);
}

static off_t size_of_log(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static void append(const char *text)
{
	int fd = open(path, O_WRONLY | O_APPEND);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* --- what the file says, by other means than the code's own --- */

struct seen {
	uint64_t records, others, torn; /* lines */
	uint64_t gaps, from, to;	/* the last one's */
	uint64_t after_torn;
	uint64_t first, last;
};

static void hash_of(const char *line, char hex[65])
{
	const char *end = strstr(line, ",\"hash\":");
	uint8_t hash[32];

	assert_non_null(end);
	crypto_hash_sha256(hash, (const uint8_t *)line, (size_t)(end - line));
	sodium_bin2hex(hex, 65, hash, sizeof(hash));
}

static void look_at(json_t *o, const char *line, struct seen *s, char prev[65])
{
	const char *type = json_string_value(json_object_get(o, "type"));
	uint64_t seq = (uint64_t)json_integer_value(json_object_get(o, "seq"));
	char hex[65];

	hash_of(line, hex);
	assert_string_equal(json_string_value(json_object_get(o, "hash")), hex);
	if (strcmp(type, "gap") != 0) {
		assert_int_equal(seq, s->last + 1);
		assert_string_equal(json_string_value(json_object_get(o, "prev")), prev);
	} else {
		s->gaps++;
		s->from = (uint64_t)json_integer_value(json_object_get(o, "from"));
		s->to = (uint64_t)json_integer_value(json_object_get(o, "to"));
		assert_int_equal(s->to + 1, seq);
		assert_int_equal(s->from, s->last + 1);
	}
	s->after_torn += json_is_true(json_object_get(o, "after_torn"));
	s->first = s->first ? s->first : seq;
	s->last = seq;
	s->records++;
	strcpy(prev, hex);
}

static struct seen look(uint64_t instance)
{
	char *line = NULL, ours[24], prev[65];
	struct seen s = { 0 };
	FILE *f = fopen(path, "r");
	size_t room = 0;
	ssize_t n;

	memset(prev, '0', 64);
	prev[64] = '\0';
	snprintf(ours, sizeof(ours), "0x%" PRIx64, instance);
	assert_non_null(f);
	while ((n = getline(&line, &room, f)) > 0) {
		json_t *o = json_loads(line, 0, NULL);
		const char *whose = json_string_value(json_object_get(o, "instance"));

		if (!o)
			s.torn++;
		else if (!whose || strcmp(whose, ours) != 0)
			s.others++;
		else
			look_at(o, line, &s, prev);
		json_decref(o);
	}
	free(line);
	fclose(f);
	return s;
}

static size_t count(const char *what)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t room = 0, n = 0;

	assert_non_null(f);
	while (getline(&line, &room, f) > 0)
		n += strstr(line, what) != NULL;
	free(line);
	fclose(f);
	return n;
}

/* --- a line --- */

/* Which of two values counts would be each reader's own choice. */
static void no_member_twice(void **state)
{
	static const uint8_t none[RF_CHAIN_BYTES];
	uint8_t hash[RF_CHAIN_BYTES];
	struct rf_chain_line l;
	struct rf_jsonline j;
	char text[512];

	for (int times = 1; times < 3; times++) {
		rf_jsonline_begin(&j, text, sizeof(text));
		rf_jsonline_address(&j, "instance", INSTANCE);
		for (int i = 0; i < times; i++)
			rf_jsonline_number(&j, "seq", 7 + (uint64_t)i);
		assert_int_equal(rf_chain_seal(&j, none, hash), 0);
		assert_int_equal(rf_chain_line_read(text, j.len - 1, INSTANCE, &l), times == 1);
	}
}

static void members(void **state)
{
	char *line = NULL, zeros[65];
	struct rf_audit *a = open_as(INSTANCE, chain);
	struct timespec now;
	size_t room = 0;
	FILE *f;
	json_t *o;

	put(a, 1);
	rf_audit_close(a);
	f = fopen(path, "r");
	assert_true(getline(&line, &room, f) > 0);
	fclose(f);
	o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	assert_int_equal(json_integer_value(json_object_get(o, "seq")), 1);
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_in_range(json_integer_value(json_object_get(o, "mono_ns")),
			(uint64_t)(now.tv_sec - 60) * 1000000000,
			(uint64_t)(now.tv_sec + 1) * 1000000000);
	assert_string_equal(json_string_value(json_object_get(o, "boot_id")), BOOT);
	memset(zeros, '0', 64);
	zeros[64] = '\0';
	assert_string_equal(json_string_value(json_object_get(o, "prev")), zeros);
	/* Last of all, in this order. */
	assert_memory_equal(line + strlen(line) - 149, "\"prev\":\"", 8);
	assert_memory_equal(line + strlen(line) - 76, ",\"hash\":\"", 9);
	assert_memory_equal(line + strlen(line) - 3, "\"}\n", 3);
	json_decref(o);
	free(line);
	assert_int_equal(look(INSTANCE).records, 1);
}

static void boot_id(void **state)
{
	char text[RF_AUDIT_BOOT_ID];

	rf_audit_boot_id(text);
	assert_true(!text[0] || (strlen(text) == 36 && text[8] == '-'));
}

/* Everything that a line may be goes through the chain, and each change of one byte shows. */
static void each_byte_counts(void **state)
{
	const struct rf_record r = { .kind = "note", .detail = "a \"detail\",\"hash\":\"\n" };
	struct rf_audit *a = open_as(INSTANCE, chain);
	struct rf_chain_line l;
	char line[4096];
	int fd, n;

	assert_int_equal(rf_audit_write(a, &r), 0);
	rf_audit_close(a);
	fd = open(path, O_RDONLY);
	n = (int)read(fd, line, sizeof(line)) - 1;
	close(fd);
	assert_true(rf_chain_line_read(line, (size_t)n, INSTANCE, &l));
	assert_true(l.holds);
	assert_int_equal(l.seq, 1);
	assert_false(rf_chain_line_read(line, (size_t)n, OTHER, &l));
	for (int i = 0; i < n; i++) {
		line[i] ^= (char)(1 << i % 8);
		assert_false(rf_chain_line_read(line, (size_t)n, INSTANCE, &l) && l.holds);
		line[i] ^= (char)(1 << i % 8);
	}
	for (int len = 0; len < n; len++)
		assert_false(rf_chain_line_read(line, (size_t)len, INSTANCE, &l));
	line[n] = ' ';
	assert_false(rf_chain_line_read(line, (size_t)n + 1, INSTANCE, &l));
}

static void several_vms_in_one_file(void **state)
{
	struct rf_audit *a = open_as(INSTANCE, chain), *b = open_as(OTHER, NULL);

	for (int i = 0; i < 5; i++) {
		put(a, 1);
		put(b, 2);
	}
	rf_audit_close(a);
	rf_audit_close(b);
	write_lines(1);
	b = open_as(OTHER, NULL);
	put(b, 1);
	rf_audit_end(b, NULL);
	rf_audit_close(b);
	assert_int_equal(look(INSTANCE).records, 6);
	assert_int_equal(look(OTHER).records, 12);
	assert_int_equal(look(OTHER).gaps + look(INSTANCE).gaps, 0);
}

/* Another VM's monitor left half a line: ours is not glued to it. */
static void a_line_that_another_one_tore(void **state)
{
	struct rf_audit *a = open_as(INSTANCE, chain);

	put(a, 1);
	append("{\"time\":\"20");
	put(a, 2);
	rf_audit_close(a);
	assert_int_equal(look(INSTANCE).records, 3);
	assert_int_equal(look(INSTANCE).torn, 1);
	assert_int_equal(look(INSTANCE).after_torn, 1);
}

/* --- the writer dies --- */

static void dies(int how)
{
	pid_t child = fork();
	int status;

	if (!child) {
		struct rf_audit *a = next_writer();

		put(a, 2);
		fate = how;
		put(a, 1);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void dies_in_the_middle_of_a_line(void **state)
{
	write_lines(3);
	dies(DIES_HALF_WAY);
	assert_int_equal(rf_chain_now(chain)->seq, 5);
	write_lines(1);
	assert_int_equal(look(INSTANCE).records, 6); /* its number is used again */
	assert_int_equal(look(INSTANCE).torn, 1);
	assert_int_equal(look(INSTANCE).after_torn, 1);
	assert_int_equal(look(INSTANCE).gaps, 0);
}

static void dies_before_it_is_counted(void **state)
{
	for (int how = DIES_BEFORE_FLUSH; how <= DIES_AFTER_FLUSH; how++) {
		uint64_t before = look(INSTANCE).records;

		write_lines(1);
		dies(how);
		assert_int_equal(look(INSTANCE).records, before + 4);
		assert_int_equal(rf_chain_now(chain)->seq, before + 3);
		/* The next one counts it, and so does one that comes to nothing in between. */
		rf_audit_close(next_writer());
		assert_int_equal(rf_chain_now(chain)->seq, before + 4);
		write_lines(2);
		assert_int_equal(look(INSTANCE).records, before + 6);
		assert_int_equal(look(INSTANCE).gaps, 0);
	}
}

/* It is not enough to fit: the line must be the one that was about to be written. */
static void a_line_that_nobody_was_about_to_write(void **state)
{
	struct rf_audit *forger;

	write_lines(3);
	forger = open_as(INSTANCE, NULL);
	put(forger, 1);
	rf_audit_close(forger);
	assert_int_equal(look(INSTANCE).records, 4);
	rf_audit_close(next_writer());
	assert_int_equal(rf_chain_now(chain)->seq, 3);
}

#define ROUNDS 40

/* At any time, many times. */
static void killed_at_random(void **state)
{
	unsigned int seed = 1;
	struct seen s;

	for (int round = 0; round < ROUNDS; round++) {
		off_t before = size_of_log();
		pid_t child = fork();

		if (!child) {
			struct rf_audit *a = next_writer();

			for (;; usleep(10))
				put(a, 1);
		}
		while (size_of_log() == before)
			usleep(200);
		usleep((useconds_t)(rand_r(&seed) % 2000));
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
	}
	write_lines(1);
	s = look(INSTANCE);
	assert_int_equal(s.gaps, 0);
	assert_int_equal(s.first, 1);
	assert_true(s.records > ROUNDS);
	assert_int_equal(s.last, rf_chain_now(chain)->seq);
}

/* --- the disk --- */

static void room_for(off_t bytes)
{
	struct rlimit l;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &l);
	l.rlim_cur = bytes < 0 ? l.rlim_max : (rlim_t)(size_of_log() + bytes);
	setrlimit(RLIMIT_FSIZE, &l);
}

static void full_disk(void **state)
{
	struct rf_audit *a = next_writer();
	struct seen s;
	off_t line;

	put(a, 1);
	line = size_of_log();
	/* Nothing of it, half of it, all but its newline; and once more, as nothing fits any
	 * more. */
	for (off_t room = 0; room <= line; room++) {
		room_for(room);
		if (rf_audit_outcome(a, 1, "ok"))
			assert_int_equal(rf_audit_outcome(a, 1, "ok"), -EFBIG);
		room_for(-1);
		put(a, 1);
	}
	rf_audit_close(a);
	write_lines(1);
	s = look(INSTANCE);
	assert_int_equal(s.gaps, 0);
	assert_int_equal(s.last, rf_chain_now(chain)->seq);
	assert_int_equal(s.records, s.last);
	assert_in_range(s.torn, line - 5, line);
}

/* It stands in the file, whatever reached the disk: its number is taken. */
static void flush_fails(void **state)
{
	struct rf_audit *a = next_writer();

	put(a, 1);
	fate = FLUSH_FAILS;
	assert_int_equal(rf_audit_outcome(a, 1, "ok"), -EIO);
	fate = LIVES;
	put(a, 1);
	rf_audit_close(a);
	assert_int_equal(look(INSTANCE).records, 3);
}

/* --- the file --- */

static void cut(off_t size, uint64_t from, uint64_t to)
{
	struct seen s;

	assert_int_equal(truncate(path, size), 0);
	write_lines(2);
	s = look(INSTANCE);
	assert_int_equal(s.gaps, 1);
	assert_int_equal(s.from, from);
	assert_int_equal(s.to, to);
	assert_int_equal(s.last, to + 3);
	/* It is told once. */
	write_lines(1);
	assert_int_equal(look(INSTANCE).gaps, 1);
}

static void truncated(void **state)
{
	off_t third;

	write_lines(3);
	third = size_of_log();
	write_lines(3);
	cut(third, 4, 6);
}

static void truncated_in_a_line(void **state)
{
	off_t third;

	write_lines(3);
	third = size_of_log();
	write_lines(3);
	cut(third + 40, 4, 6);
	assert_int_equal(look(INSTANCE).torn, 1);
}

static void emptied(void **state)
{
	write_lines(4);
	cut(0, 1, 4);
	assert_int_equal(look(INSTANCE).first, 5);
}

/* A power cut: the file is longer than what is in it. */
static void zeros_where_lines_were(void **state)
{
	off_t second, whole;

	write_lines(2);
	second = size_of_log();
	write_lines(2);
	whole = size_of_log();
	assert_int_equal(truncate(path, second), 0);
	cut(whole, 3, 4);
}

static void replaced(void **state)
{
	write_lines(4);
	unlink(path);
	write_lines(1);
	assert_int_equal(look(INSTANCE).from, 1);
	assert_int_equal(look(INSTANCE).to, 4);
	assert_int_equal(look(INSTANCE).records, 2);
}

/* The line that was last is there, but another one. */
static void last_line_changed(void **state)
{
	int fd;

	write_lines(4);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "X", 1, size_of_log() - 200), 1);
	close(fd);
	rf_audit_close(next_writer());
	assert_int_equal(rf_chain_now(chain)->seq, 4);
	fd = open(path, O_RDWR | O_APPEND);
	write_lines(1);
	assert_int_equal(rf_chain_now(chain)->seq, 6);
	close(fd);
}

/* Another copy of the same lines in its place: nothing is missing. */
static void moved(void **state)
{
	char command[160];

	write_lines(4);
	snprintf(command, sizeof(command), "cp %s %s.c && mv %s.c %s", path, path, path, path);
	assert_int_equal(system(command), 0);
	write_lines(1);
	assert_int_equal(look(INSTANCE).gaps, 0);
	assert_int_equal(look(INSTANCE).records, 5);
}

/* Ours is far out of the tail that is read back: it is where it was written. */
static void many_lines_of_others(void **state)
{
	struct rf_audit *b;
	char text[2048];

	write_lines(3);
	/* What looks like ours in another one's words is not ours. */
	snprintf(text, sizeof(text),
		 "{\"vm\":\"b\",\"instance\":\"0x8\",\"x\":\"\\\"instance\\\":\\\"0x%" PRIx64
		 "\\\",\\\"seq\\\":9\"}\n",
		 INSTANCE);
	append(text);
	memset(text, '#', sizeof(text) - 1);
	text[sizeof(text) - 2] = '\n';
	text[sizeof(text) - 1] = '\0';
	for (size_t n = 0; n <= RF_AUDIT_TAIL_BYTES; n += sizeof(text) - 1)
		append(text);
	write_lines(1);
	assert_int_equal(look(INSTANCE).gaps, 0);
	assert_int_equal(look(INSTANCE).records, 4);
	/* Who has no memory of it begins anew: the file's end says nothing. */
	b = open_as(OTHER, NULL);
	put(b, 1);
	rf_audit_close(b);
	assert_int_equal(look(OTHER).records, 1);
}

/* --- the memory --- */

static void not_a_chain(void **state)
{
	struct rf_chain *c = (void *)1;
	int fd = memfd_create("x", 0);
	bool anew;

	assert_int_equal(rf_chain_take(fd, &c, &anew), -EPROTO);
	assert_int_equal(rf_chain_take(-1, &c, &anew), -EBADF);
	assert_ptr_equal(c, (void *)1);
	assert_int_equal(ftruncate(fd, sizeof(*c)), 0);
	assert_int_equal(rf_chain_take(fd, &c, &anew), 0);
	assert_true(anew);
	assert_int_equal(rf_chain_now(c)->seq, 0);
	munmap(c, sizeof(*c));
	close(fd);
	assert_int_equal(ftruncate(chain_fd, 1), -1); /* nobody cuts what is mapped */
}

/* As monitor/main.c does. */
static struct rf_audit *take_over(bool anew)
{
	struct rf_audit_setup how = { .vm = "vm", .instance = INSTANCE, .boot_id = BOOT };
	struct rf_audit *a = NULL;

	munmap(chain, sizeof(*chain));
	assert_int_equal(rf_chain_take(chain_fd, &chain, &how.chain_anew), 0);
	assert_int_equal(how.chain_anew, anew);
	how.chain = chain;
	assert_int_equal(rf_audit_open_setup(open(path, O_RDWR | O_APPEND | O_CLOEXEC), &how, &a),
			 0);
	return a;
}

/* Whatever a monitor that was taken over leaves there, the next one goes on behind the file's last
 * line, says so once, and the one after it finds a chain. */
static void spoiled(void **state)
{
	for (int how = 0; how < 6; how++) {
		uint64_t before = look(INSTANCE).records;
		struct rf_audit *a = take_over(false);
		struct seen s;

		put(a, 3);
		rf_audit_close(a);
		memset(chain->slot, how & 1 ? 0xff : 0xa5, sizeof(chain->slot));
		if (how == 0)
			chain->magic = 0;
		if (how == 1)
			chain->current = 2;
		if (how == 2)
			chain->version++;
		if (how == 3)
			chain->size = 0;
		if (how == 4)
			memset(chain, 0xff, sizeof(*chain));
		a = take_over(true);
		put(a, 2);
		rf_audit_close(a);
		s = look(INSTANCE);
		assert_int_equal(s.records, before + 6);
		assert_int_equal(s.last, before + 6);
		assert_int_equal(s.gaps, 0);
		assert_int_equal(rf_chain_now(chain)->seq, before + 6);
		/* So that `run` can go on with it, too. */
		munmap(chain, sizeof(*chain));
		assert_int_equal(map_chain(), 0);
	}
	assert_int_equal(count("\"kind\":\"monitor\""), 6);
}

/* The line that says so waits for room as any other. */
static void spoiled_on_a_full_disk(void **state)
{
	struct rf_audit *a;

	write_lines(3);
	chain->magic = 0;
	a = take_over(true);
	room_for(20);
	assert_int_equal(rf_audit_outcome(a, 1, "ok"), -EFBIG);
	room_for(-1);
	put(a, 1);
	rf_audit_close(a);
	assert_int_equal(look(INSTANCE).records, 5);
	assert_int_equal(count("\"kind\":\"monitor\""), 1);
}

/* A VM that is started anew has a chain of its own. */
static void another_instance(void **state)
{
	struct rf_audit *a;

	write_lines(3);
	a = open_as(OTHER, chain);
	put(a, 2);
	rf_audit_close(a);
	assert_int_equal(look(OTHER).records, 2);
	assert_int_equal(look(OTHER).gaps, 0);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(members),
		TEST(no_member_twice),
		TEST(boot_id),
		TEST(each_byte_counts),
		TEST(several_vms_in_one_file),
		TEST(a_line_that_another_one_tore),
		TEST(dies_in_the_middle_of_a_line),
		TEST(dies_before_it_is_counted),
		TEST(a_line_that_nobody_was_about_to_write),
		TEST(killed_at_random),
		TEST(full_disk),
		TEST(flush_fails),
		TEST(truncated),
		TEST(truncated_in_a_line),
		TEST(emptied),
		TEST(zeros_where_lines_were),
		TEST(replaced),
		TEST(last_line_changed),
		TEST(moved),
		TEST(many_lines_of_others),
		TEST(not_a_chain),
		TEST(spoiled),
		TEST(spoiled_on_a_full_disk),
		TEST(another_instance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
