// SPDX-License-Identifier: LGPL-2.1-or-later
/* A new log, in folders that were not there: its name and theirs are on disk before anything is
 * written to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "cli/run_state.c"

#define FOLDERS 16

int fsync(int fd);
int mkdir(const char *path, mode_t mode);

/* Folders in which something is new, and not flushed. */
static ino_t dirty[FOLDERS];
static size_t made, flushed;

void rf_say(const char *format, ...) {}

int rf_fail(int code, const char *consequence, const char *advice, const char *format, ...)
{
	return code;
}

void rf_safe(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text);
}

static ino_t inode(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

int mkdir(const char *path, mode_t mode)
{
	char parent[PATH_MAX];
	int err = (int)syscall(SYS_mkdir, path, mode);

	if (err)
		return err;
	assert_in_range(made, 0, FOLDERS - 1);
	strcpy(parent, path);
	*strrchr(parent, '/') = '\0';
	dirty[made++] = inode(parent);
	return 0;
}

int fsync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	for (size_t i = 0; i < made; i++)
		if (dirty[i] == st.st_ino) {
			dirty[i] = 0;
			flushed++;
		}
	return 0;
}

static void each_new_name_is_flushed(void **state)
{
	char base[] = "/tmp/rf-state-XXXXXX", log[64], command[96];
	struct rf_run r;
	size_t logs;

	assert_non_null(mkdtemp(base));
	snprintf(log, sizeof(log), "%s/one/two/three/audit.jsonl", base);
	assert_int_equal(make_parents(log), 0);
	assert_int_equal(made, 3);
	for (size_t i = 0; i < made; i++)
		assert_int_equal(dirty[i], 0);
	/* Only what is new. */
	assert_int_equal(flushed, 3);
	assert_int_equal(make_parents(log), 0);
	assert_int_equal(made, 3);
	/* And the log's own, where it is the only thing that is. */
	rf_run_init(&r);
	r.name = "one";
	r.audit = log;
	logs = made;
	snprintf(log, sizeof(log), "%s/one/audit.jsonl", base);
	*strrchr(log, '/') = '\0';
	dirty[made++] = inode(log);
	log[strlen(log)] = '/';
	assert_int_equal(prepare_audit(&r), 0);
	assert_int_equal(dirty[logs], 0);
	rf_run_deinit(&r);
	snprintf(command, sizeof(command), "rm -r %s", base);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_new_name_is_flushed) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
