// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The files that say how a VM is to be judged. The monitor reads private copies: one that is
 * started again after a file was edited, or broken, must judge as its predecessor did.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "cli/output.h"
#include "cli/run.h"
#include "policy/file.h"
#include "policy/measurement.h"
#include "policy/note.h"
#include "policy/policy.h"

#define NOT_STARTED "nothing was started; no guest runs unprotected"

int rf_run_keep(const char *name, const char *bytes, size_t len)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, bytes, len) != (ssize_t)len)
		err = -ENOSPC; /* a memfd takes all or has no room */
	else if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		err = -errno;
	if (!err)
		return fd;
	close(fd);
	return err;
}

/*
 * A sealed memfd with what the file holds, and a path to it. 0 or -errno; *fd is to be closed if it
 * is one. What is more than max is told by one byte more.
 */
static int keep(const char *path, size_t max, const char *name, int *fd, char self[32])
{
	char *buf = malloc(max + 1);
	size_t len;
	int err = buf ? rf_file_read(path, buf, max + 1, &len) : -ENOMEM;

	if (!err) {
		*fd = rf_run_keep(name, buf, len);
		err = *fd < 0 ? *fd : 0;
	}
	if (!err)
		snprintf(self, 32, "/proc/self/fd/%d", *fd);
	if (buf)
		sodium_memzero(buf, max + 1); /* it may be a key */
	free(buf);
	return err;
}

/* Of a file that could not be taken. */
static const char *problem(int err)
{
	return err == -EINVAL ? "it is not a regular file" : strerror(-err);
}

void rf_run_take(struct rf_run *r, const struct rf_policy *p)
{
	r->now = *p;
	r->log_quota = rf_policy_log_bytes(p, false);
	r->log_may_lack = p->on_log_full == RF_ON_LOG_FULL_CONTINUE;
}

static int take_policy(struct rf_run *r)
{
	struct rf_policy_diag diag = { 0 };
	struct rf_policy policy;
	char self[32], where[64] = "", path[PATH_MAX];
	bool profile;
	int err = rf_policy_find(r->policy, path, &profile);

	if (!err)
		err = keep(path, RF_POLICY_FILE_MAX, "ringfence-policy", &r->policy_fd, self);
	if (!err)
		err = rf_policy_read_known(r->policy, self, &diag, &r->origin, &policy);
	if (!err) {
		rf_run_take(r, &policy);
		return RF_EXIT_OK;
	}
	if (diag.line)
		snprintf(where, sizeof(where), ", line %u, column %u", diag.line, diag.column);
	return rf_fail(
		RF_EXIT_REFUSED, NOT_STARTED,
		err == -EBADMSG || err == -EFBIG
			? "correct the file; `ringfence policy keys` lists what may stand in it"
			: "give --policy the path of a file that this user may read, or a "
			  "profile: " RF_PROFILES,
		"policy %s%s: %s", r->policy, where, diag.text[0] ? diag.text : problem(err));
}

static int take_expectation(struct rf_run *r)
{
	struct rf_measurement m;
	char self[32], why[RF_MEASUREMENT_WHY] = "", safe[2 * RF_MEASUREMENT_WHY];
	int err = keep(r->expect, RF_MEASUREMENT_FILE_MAX, "ringfence-expect", &r->expect_fd, self);

	if (!err)
		err = rf_measurement_load(self, why, &m);
	if (!err)
		return RF_EXIT_OK;
	rf_safe(safe, sizeof(safe), why[0] ? why : problem(err));
	return rf_fail(RF_EXIT_REFUSED, NOT_STARTED,
		       "give what `ringfence measure --json` said where the guest comes from",
		       "measurement %s: %s", r->expect, safe);
}

static int take_policy_key(struct rf_run *r)
{
	char self[32], text[RF_NOTE_KEY_TEXT];
	size_t len;
	int err = keep(r->policy_key, sizeof(text) - 1, "ringfence-policy-key", &r->policy_key_fd,
		       self);

	if (!err)
		err = rf_file_read(self, text, sizeof(text), &len);
	if (!err)
		err = rf_note_public_parse(text, len, &r->reload_key);
	if (!err)
		return RF_EXIT_OK;
	return rf_fail(RF_EXIT_REFUSED, NOT_STARTED,
		       "give the public key (FILE.pub) that `ringfence audit keygen` has made",
		       "policy key %s: %s", r->policy_key,
		       err == -EBADMSG ? "it is not a public key" : problem(err));
}

/*
 * 0 or -errno, -EACCES where others than its owner may read it. The monitor, which reads hostile
 * memory, has this key: it may not be the one that loosens policies (-EEXIST).
 */
static int read_key(struct rf_run *r)
{
	char self[32], text[RF_NOTE_KEY_TEXT];
	int fd = rf_file_open(r->audit_key), err = fd < 0 ? fd : 0;
	struct rf_note_key key;
	struct stat st;
	size_t len;

	/* What was opened, whatever has its path by now. */
	if (!err && (fstat(fd, &st) || st.st_mode & 077))
		err = -EACCES;
	if (!err) {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
		err = keep(self, sizeof(text) - 1, "ringfence-audit-key", &r->key_fd, self);
	}
	if (fd >= 0)
		close(fd);
	if (!err)
		err = rf_file_read(self, text, sizeof(text), &len);
	if (!err)
		err = rf_note_secret_parse(text, len, &key);
	if (!err && r->policy_key && !memcmp(key.public, r->reload_key.public, sizeof(key.public)))
		err = -EEXIST;
	sodium_memzero(text, sizeof(text));
	sodium_memzero(&key, sizeof(key));
	return err;
}

static int take_key(struct rf_run *r)
{
	int err = read_key(r);

	if (!err)
		return RF_EXIT_OK;
	return rf_fail(RF_EXIT_REFUSED, NOT_STARTED,
		       "give the file that `ringfence audit keygen` has made, with mode 0600",
		       "audit key %s: %s", r->audit_key,
		       err == -EBADMSG	? "it is not a secret key"
		       : err == -EACCES ? "others may read it, or this user may not"
		       : err == -EEXIST ? "the monitor has it, so it cannot be the one of "
					  "--policy-key; make another one"
					: problem(err));
}

int rf_run_files(struct rf_run *r)
{
	struct rf_policy policy;

	rf_policy_default(&policy);
	rf_run_take(r, &policy);
	int code = r->policy ? take_policy(r) : RF_EXIT_OK;

	if (!code && r->policy_key)
		code = take_policy_key(r);
	if (!code && r->audit_key)
		code = take_key(r);
	return code || !r->expect ? code : take_expectation(r);
}
