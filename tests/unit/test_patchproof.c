// SPDX-License-Identifier: LGPL-2.1-or-later
/* Does the patch log fit the record? Both as the monitor writes them, then as somebody else
 * would. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "policy/audit.h"
#include "policy/patchlog.h"
#include "policy/patchproof.h"
#include "tests/unit/log_open.h"

static char log_path[] = "/tmp/rf-record-XXXXXX", path[] = "/tmp/rf-patches-XXXXXX";
static struct rf_audit *audit;
static struct rf_patchlog *patches;
static struct rf_finding found[64];
static unsigned int count;

/* Of the patch log. */
static uint64_t reads;

ssize_t pread(int fd, void *data, size_t size, off_t at);
ssize_t pread(int fd, void *data, size_t size, off_t at)
{
	ssize_t n = syscall(SYS_pread64, fd, data, size, at);

	reads += n > 0 ? (uint64_t)n : 0;
	return n;
}

static int setup(void **state)
{
	strcpy(log_path, "/tmp/rf-record-XXXXXX");
	strcpy(path, "/tmp/rf-patches-XXXXXX");
	close(mkstemp(log_path));
	close(mkstemp(path));
	return 0;
}

static int teardown(void **state)
{
	rf_audit_close(audit);
	rf_patchlog_close(patches);
	audit = NULL;
	patches = NULL;
	return unlink(log_path) | unlink(path);
}

static void begin(uint64_t instance)
{
	rf_audit_close(audit);
	rf_patchlog_close(patches);
	assert_int_equal(log_open(log_path, "web", instance, &audit), 0);
	assert_int_equal(rf_patchlog_open_fd(open(path, O_RDWR | O_APPEND), instance, &patches), 0);
}

static void patch(int n)
{
	struct rf_patch_line l = { .ns = 5, .at = 0x100, .kind = 4, .len = 5 };

	while (n--)
		assert_int_equal(rf_patchlog_write(patches, &l, 1), 0);
}

static void say(void)
{
	struct rf_patch_span span;
	const struct rf_record r = { .kind = "patches", .patch_log = &span };

	rf_patchlog_span(patches, &span);
	assert_int_equal(rf_audit_write(audit, &r), 0);
}

/* A kernel is sealed, patches itself twice; then the monitor dies, and the next one goes on. */
static void a_life(uint64_t instance)
{
	begin(instance);
	assert_int_equal(rf_patchlog_head(patches, 0x1000, 2), 0);
	patch(3);
	say();
	patch(700);
	say();
	patch(1);
	begin(instance);
	assert_int_equal(rf_patchlog_head(patches, 0x1000, 2), 0);
	patch(2);
	say();
}

static void note(void *ctx, const struct rf_finding *f)
{
	assert_non_null(rf_finding_text(f->kind));
	if (count < 64)
		found[count] = *f;
	count++;
}

static int verify(void)
{
	struct rf_patch_proof *p = rf_patch_proof_create(note, NULL);
	FILE *f = fopen(log_path, "r");
	char line[1 << 14];
	uint64_t number = 0;
	int fd = open(path, O_RDONLY), err;

	count = 0;
	while (fgets(line, sizeof(line), f))
		assert_int_equal(rf_patch_proof_line(p, 3, ++number, line, strcspn(line, "\n")), 0);
	err = rf_patch_proof_check(p, fd);
	fclose(f);
	if (fd >= 0)
		close(fd);
	rf_patch_proof_destroy(p);
	return err;
}

static void change(off_t at)
{
	int fd = open(path, O_RDWR);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static off_t size_of(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static void fits(void **state)
{
	a_life(7);
	assert_int_equal(verify(), 0);
	assert_int_equal(count, 0);
	a_life(8); /* in the same file */
	assert_int_equal(verify(), 0);
	assert_int_equal(count, 0);
}

/* Each byte that a line is about counts; told at the first line that is. */
static void changed(void **state)
{
	a_life(7);
	for (off_t at = 0; at < size_of(); at += 97) {
		change(at);
		assert_int_equal(verify(), 0);
		assert_true(count >= 1);
		assert_int_equal(found[0].kind, RF_FOUND_PATCHES_CHANGED);
		assert_int_equal(found[0].instance, 7);
		assert_int_equal(found[0].file, 3);
		assert_int_equal(found[0].line, at < 4 * 32 ? 1 : at < 704 * 32 ? 2 : 3);
		assert_int_equal(count, 4 - found[0].line);
		change(at);
	}
}

static void cut_and_gone(void **state)
{
	a_life(7);
	assert_int_equal(truncate(path, size_of() - 32), 0);
	assert_int_equal(verify(), 0);
	assert_int_equal(count, 1);
	assert_int_equal(found[0].kind, RF_FOUND_PATCHES_CHANGED);
	assert_int_equal(found[0].line, 3);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(verify(), 0);
	assert_int_equal(count, 3);
	unlink(path);
	assert_int_equal(verify(), 0);
	assert_int_equal(count, 1);
	assert_int_equal(found[0].kind, RF_FOUND_PATCHES_MISSING);
	close(open(path, O_CREAT | O_WRONLY, 0600));
}

/* What no line is about: behind the last one, and of a start whose monitor never came to one. */
static void not_covered(void **state)
{
	a_life(7);
	assert_int_equal(rf_patchlog_head(patches, 0x1000, 3), 0);
	assert_int_equal(verify(), 0);
	assert_int_equal(count, 0); /* no patch */
	patch(2);
	assert_int_equal(verify(), 0);
	assert_int_equal(count, 1);
	assert_int_equal(found[0].kind, RF_FOUND_PATCHES_NOT_COVERED);
	assert_int_equal(found[0].to, 2);
	assert_int_equal(found[0].line, 3);
	a_life(8);
	assert_int_equal(verify(), 0);
	assert_int_equal(count, 1);
	assert_int_equal(found[0].to, 2);
	/* Nobody says anything of anything. */
	assert_int_equal(truncate(log_path, 0), 0);
	assert_int_equal(verify(), 0);
	assert_int_equal(count, 1);
	assert_int_equal(found[0].line, 0);
	assert_int_equal(found[0].to, 2 * 706 + 2);
}

/* A disk that was full for a moment, or a writer that died. */
static void torn(void **state)
{
	int fd;

	a_life(7);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "half a record", 13), 13);
	patch(2);
	say();
	assert_int_equal(verify(), 0);
	assert_int_equal(count, 0);
	assert_int_equal(write(fd, "half a record", 13), 13);
	begin(7);
	patch(1);
	say();
	assert_int_equal(verify(), 0);
	assert_int_equal(count, 0);
	/* Cut while it is written: the lines of before know. */
	assert_int_equal(truncate(path, 320), 0);
	patch(1);
	say();
	assert_int_equal(verify(), 0);
	assert_true(count >= 1);
	assert_int_equal(found[0].kind, RF_FOUND_PATCHES_CHANGED);
	close(fd);
}

static void forged_line(struct rf_patch_proof *p, const char *from, const char *to)
{
	char line[256];

	snprintf(line, sizeof(line),
		 "{\"instance\":\"0x9\",\"seq\":4,\"patch_log\":{\"from\":%s,\"to\":%s,"
		 "\"sha256\":\"%064d\"}}",
		 from, to, 0);
	assert_int_equal(rf_patch_proof_line(p, 0, 1, line, strlen(line)), 0);
}

static void hostile_lines(void **state)
{
	struct rf_patch_proof *p = rf_patch_proof_create(note, NULL);
	char from[24];
	int fd;

	a_life(7);
	fd = open(path, O_RDONLY);
	count = 0;
	/* No lines of ours: their hash tells. */
	forged_line(p, "64", "32");
	forged_line(p, "-32", "32");
	forged_line(p, "0.5", "32");
	forged_line(p, "\"0\"", "32");
	forged_line(p, "0", "99999999999999999999");
	assert_int_equal(rf_patch_proof_line(p, 0, 1, "\"patch_log\"", 11), 0);
	assert_int_equal(rf_patch_proof_line(p, 0, 1, "{\"patch_log\":1", 14), 0);
	assert_int_equal(rf_patch_proof_check(p, -1), 0);
	assert_int_equal(count, 0);
	/* Nowhere, or between two records. */
	forged_line(p, "9223372036854775776", "9223372036854775776");
	forged_line(p, "0", "9223372036854775807");
	forged_line(p, "1", "33");
	forged_line(p, "32", "65");
	assert_int_equal(rf_patch_proof_check(p, fd), 0);
	assert_in_range(count, 4, 8);
	/* It is read once, whatever they say. */
	count = 0;
	reads = 0;
	for (int i = 0; i < 500; i++) {
		snprintf(from, sizeof(from), "%d", 32 * i);
		forged_line(p, from, "22528");
	}
	assert_int_equal(rf_patch_proof_check(p, fd), 0);
	assert_int_equal(count, 500 + 1);
	assert_int_equal(found[0].kind, RF_FOUND_PATCHES_CHANGED);
	assert_int_equal(reads, size_of());
	rf_patch_proof_destroy(p);
	close(fd);
}

/* Ten VMs have one log: what each says begins at its own head, and goes on over all others'. */
#define VMS 10

static void append(const union rf_patch_record *r)
{
	int fd = open(path, O_WRONLY | O_APPEND);

	assert_int_equal(write(fd, r, sizeof(*r)), sizeof(*r));
	close(fd);
}

static void claim(struct rf_patch_proof *p, uint64_t instance, uint64_t from, uint64_t to,
		  bool rightly)
{
	static uint8_t bytes[1 << 20];
	uint8_t hash[crypto_hash_sha256_BYTES];
	char line[256], hex[2 * sizeof(hash) + 1];
	int fd = open(path, O_RDONLY);

	assert_int_equal(pread(fd, bytes, to - from, (off_t)from), to - from);
	close(fd);
	crypto_hash_sha256(hash, bytes, to - from);
	hash[0] ^= !rightly;
	sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
	snprintf(line, sizeof(line),
		 "{\"instance\":\"0x%llx\",\"seq\":4,\"patch_log\":{\"from\":%llu,\"to\":%llu,"
		 "\"sha256\":\"%s\"}}",
		 (unsigned long long)instance, (unsigned long long)from, (unsigned long long)to,
		 hex);
	assert_int_equal(rf_patch_proof_line(p, 0, instance, line, strlen(line)), 0);
}

static void ten_share_it(void **state)
{
	const union rf_patch_record line = {
		.line = { .at = 0x100, .len = 5, .mark = RF_PATCHLOG_LINE }
	};
	struct rf_patch_proof *p = rf_patch_proof_create(note, NULL);
	int fd;

	for (uint64_t i = 1; i <= VMS; i++) {
		const union rf_patch_record head = {
			.head = { .instance = i, .version = 1, .mark = RF_PATCHLOG_HEAD }
		};

		append(&head);
	}
	for (int i = 0; i < 1400; i++)
		append(&line);
	for (uint64_t round = 0; round < 3; round++)
		for (uint64_t i = 1; i <= VMS; i++)
			claim(p, i, 32 * (i - 1), 32 * (VMS + 400 + 100 * i * !!round),
			      i != 7 || round != 1);
	fd = open(path, O_RDONLY);
	count = 0;
	reads = 0;
	assert_int_equal(rf_patch_proof_check(p, fd), 0);
	assert_int_equal(reads, size_of());
	assert_int_equal(count, 1);
	assert_int_equal(found[0].kind, RF_FOUND_PATCHES_CHANGED);
	assert_int_equal(found[0].line, 7);
	close(fd);
	rf_patch_proof_destroy(p);
}

/* Of more than can be looked at the others are known still: one after the other are any number. */
static void too_many_share_it(void **state)
{
	const union rf_patch_record line = {
		.line = { .at = 0x100, .len = 5, .mark = RF_PATCHLOG_LINE }
	};
	struct rf_patch_proof *p = rf_patch_proof_create(note, NULL);
	int fd;

	for (int i = 0; i < 3000; i++)
		append(&line);
	fd = open(path, O_RDONLY);
	for (uint64_t i = 0; i < 1024 + 3; i++)
		claim(p, i + 1, 32 * i, 32 * 1100, i != 9);
	for (uint64_t i = 1100; i < 3000; i++)
		claim(p, i + 1, 32 * i, 32 * i + 32, i != 2000);
	count = 0;
	assert_int_equal(rf_patch_proof_check(p, fd), 0);
	assert_int_equal(count, 5);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(found[i].kind, RF_FOUND_PATCHES_TOO_MANY);
		assert_int_equal(found[i].line, 1025 + i);
	}
	assert_int_equal(found[3].kind, RF_FOUND_PATCHES_CHANGED);
	assert_int_equal(found[3].line, 10);
	assert_int_equal(found[4].kind, RF_FOUND_PATCHES_CHANGED);
	assert_int_equal(found[4].line, 2001);
	close(fd);
	rf_patch_proof_destroy(p);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(fits),	     T(changed),
					    T(cut_and_gone), T(not_covered),
					    T(torn),	     T(hostile_lines),
					    T(ten_share_it), T(too_many_share_it) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
