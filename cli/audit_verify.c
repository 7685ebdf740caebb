// SPDX-License-Identifier: LGPL-2.1-or-later
/* `audit verify`: is a log as it was written? Works anywhere, on a copy of the files. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "cli/audit_log.h"
#include "cli/audit_verify.h"
#include "cli/output.h"
#include "cli/paths.h"
#include "cli/safe_file.h"
#include "policy/file.h"
#include "policy/patchproof.h"
#include "policy/verify.h"

#define SHOWN 10000 /* findings; the others are counted */

struct report {
	struct rf_finding *found;
	size_t count, room;
	uint64_t more;
	enum rf_verdict_of_log of_patches; /* what those about the patch log make of it */
	char *const *files;
	bool no_memory;
	bool key; /* signatures are checked */
};

static void keep(void *ctx, const struct rf_finding *f)
{
	struct report *r = ctx;

	if (r->count == SHOWN) {
		r->more++;
		return;
	}
	if (r->count == r->room) {
		size_t room = r->room ? 2 * r->room : 64;
		struct rf_finding *bigger = reallocarray(r->found, room, sizeof(*bigger));

		if (!bigger) {
			r->no_memory = true;
			return;
		}
		r->found = bigger;
		r->room = room;
	}
	r->found[r->count++] = *f;
}

static void keep_of_patches(void *ctx, const struct rf_finding *f)
{
	struct report *r = ctx;

	if (rf_finding_weight(f->kind) > r->of_patches)
		r->of_patches = rf_finding_weight(f->kind);
	keep(ctx, f);
}

/* --- reading ----------------------------------------------------------------- */

struct lines {
	struct rf_verify *verify;
	struct rf_patch_proof *patches;
	unsigned int file;
	uint64_t number;
	size_t len;
	char line[RF_VERIFY_LINE_BYTES + 1]; /* of a longer one its beginning */
};

static int take(struct lines *l, bool whole)
{
	int err = rf_verify_line(l->verify, l->file, ++l->number, l->line, l->len, whole);

	if (!err)
		err = rf_patch_proof_line(l->patches, l->file, l->number, l->line, l->len);
	l->len = 0;
	return err;
}

static int read_all(int fd, struct lines *l)
{
	static char buf[1 << 16];
	bool any = false; /* something since the last newline */
	ssize_t n;
	int err = 0;

	while (!err && (n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		for (ssize_t i = 0; i < n && !err; i++) {
			any = buf[i] != '\n';
			if (!any)
				err = take(l, true);
			else if (l->len < sizeof(l->line))
				l->line[l->len++] = buf[i];
		}
	}
	return !err && any ? take(l, false) : err;
}

/* The patch log lies beside it, also where both were taken elsewhere. What has its name and is
 * another user's than the log is as none: he may have put it there. */
static int check_patches(const char *log, uid_t owner, struct rf_patch_proof *p)
{
	char path[PATH_MAX];
	struct rf_why why;
	int fd, err = rf_patches_path(log, path);

	if (err)
		return err;
	fd = rf_path_read_of(path, owner, &why);
	if (fd < 0 && fd != -ENOENT)
		rf_say("the patch log %s is not read: %s", path, why.what);
	if (fd < 0 && fd != -ENOENT && fd != -EPERM)
		return fd;
	err = rf_patch_proof_check(p, fd);
	if (fd >= 0)
		close(fd);
	return err;
}

static int read_file(const char *path, uid_t owner, struct rf_verify *v, struct rf_patch_proof *p,
		     unsigned int number)
{
	struct lines *l = malloc(sizeof(*l));
	struct rf_why why;
	int fd = rf_path_read_of(path, owner, &why), err;

	if (!l || fd < 0) {
		err = l ? fd : -ENOMEM;
	} else if ((err = rf_log_is_plain(fd)) == 0) {
		l->verify = v;
		l->patches = p;
		l->file = number;
		l->number = 0;
		l->len = 0;
		err = read_all(fd, l);
		if (!err)
			err = check_patches(path, owner, p);
	}
	if (fd >= 0)
		close(fd);
	free(l);
	return err;
}

/* --- printing ---------------------------------------------------------------- */

static int print_instances(const struct rf_verify *v)
{
	static const char *const titles[] = { "INSTANCE", "VM",	 "RECORDS",	"FIRST",
					      "LAST",	  "END", "CHECKPOINTS", "RESULT" };
	struct rf_listing *t = rf_listing_create(titles, 8);
	int err = t ? 0 : -ENOMEM;

	for (size_t i = 0; i < rf_verify_count(v) && !err; i++) {
		const struct rf_verified *is = rf_verify_instance(v, i);
		char id[24], records[24], first[24], last[24], checkpoints[24];
		const char *const cells[] = {
			is->instance ? id : NULL,
			is->vm[0] ? is->vm : NULL,
			records,
			is->first ? first : NULL,
			is->first ? last : NULL,
			is->ended ? "yes" : "no",
			checkpoints,
			rf_verdict_of_log_text(is->verdict),
		};

		snprintf(id, sizeof(id), "0x%" PRIx64, is->instance);
		snprintf(records, sizeof(records), "%" PRIu64, is->records + is->not_chained);
		snprintf(first, sizeof(first), "%" PRIu64, is->first);
		snprintf(last, sizeof(last), "%" PRIu64, is->last);
		snprintf(checkpoints, sizeof(checkpoints), "%" PRIu64, is->checkpoints);
		err = rf_listing_row(t, cells);
	}
	if (!err && rf_verify_count(v))
		rf_listing_print(t);
	rf_listing_destroy(t);
	return err;
}

static int finding_row(struct rf_listing *t, const struct report *r, const struct rf_finding *f)
{
	bool many = f->kind == RF_FOUND_NOT_CHAINED,
	     patches = f->kind == RF_FOUND_PATCHES_NOT_COVERED;
	char line[24], id[24], seq[48];
	const char *const cells[] = { r->files[f->file], f->line ? line : NULL,
				      f->instance ? id : NULL,
				      f->seq || many || patches ? seq : NULL,
				      rf_finding_text(f->kind) };

	snprintf(line, sizeof(line), "%" PRIu64, f->line);
	snprintf(id, sizeof(id), "0x%" PRIx64, f->instance);
	if (patches)
		snprintf(seq, sizeof(seq), "%" PRIu64 " records", f->to);
	else if (many)
		snprintf(seq, sizeof(seq), "%" PRIu64 " lines", f->to);
	else if (f->to > f->seq)
		snprintf(seq, sizeof(seq), "%" PRIu64 " to %" PRIu64, f->seq, f->to);
	else
		snprintf(seq, sizeof(seq), "%" PRIu64, f->seq);
	return rf_listing_row(t, cells);
}

static int print_findings(const struct report *r)
{
	static const char *const titles[] = { "FILE", "LINE", "INSTANCE", "SEQ", "FOUND" };
	struct rf_listing *t = r->count ? rf_listing_create(titles, 5) : NULL;
	int err = r->count && !t ? -ENOMEM : 0;

	for (size_t i = 0; i < r->count && !err; i++)
		err = finding_row(t, r, &r->found[i]);
	if (t && !err) {
		putchar('\n');
		rf_listing_print(t);
	}
	rf_listing_destroy(t);
	if (r->more)
		printf("%" PRIu64 " more are left out\n", r->more);
	return err;
}

static json_t *instances_json(const struct rf_verify *v)
{
	json_t *all = json_array();

	for (size_t i = 0; i < rf_verify_count(v); i++) {
		const struct rf_verified *is = rf_verify_instance(v, i);
		char id[24], vm[sizeof(is->vm)];

		rf_safe(vm, sizeof(vm), is->vm);
		snprintf(id, sizeof(id), "0x%" PRIx64, is->instance);
		json_array_append_new(
			all,
			json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:s}", "instance",
				  id, "vm", vm, "records", (json_int_t)is->records, "not_chained",
				  (json_int_t)is->not_chained, "first", (json_int_t)is->first,
				  "last", (json_int_t)is->last, "ended", is->ended, "checkpoints",
				  (json_int_t)is->checkpoints, "covered", (json_int_t)is->covered,
				  "result", rf_verdict_of_log_text(is->verdict)));
	}
	return all;
}

static json_t *findings_json(const struct report *r)
{
	json_t *all = json_array();

	for (size_t i = 0; i < r->count; i++) {
		const struct rf_finding *f = &r->found[i];
		char id[24];

		snprintf(id, sizeof(id), "0x%" PRIx64, f->instance);
		json_array_append_new(all,
				      json_pack("{s:s, s:s, s:I, s:I, s:s, s:I}", "found",
						rf_finding_text(f->kind), "instance", id, "seq",
						(json_int_t)f->seq, "to", (json_int_t)f->to, "file",
						r->files[f->file], "line", (json_int_t)f->line));
	}
	return all;
}

static int print_report(const struct report *r, const struct rf_verify *v, const char *result,
			bool json)
{
	int err;

	if (json)
		return rf_print_json(json_pack("{s:s, s:o, s:o, s:I}", "result", result,
					       "instances", instances_json(v), "findings",
					       findings_json(r), "left_out", (json_int_t)r->more));
	err = print_instances(v);
	if (!err)
		err = print_findings(r);
	if (err)
		return rf_fail(RF_EXIT_INTERNAL, "what was printed is not complete", "run it again",
			       "no memory for the report");
	printf("%sresult: %s%s\n", rf_verify_count(v) ? "\n" : "", result,
	       !rf_verify_count(v) && !r->count ? " (no record in it)"
	       : !r->key && !strcmp(result, rf_verdict_of_log_text(RF_LOG_INTACT))
		       ? " (no key: one written anew would look the same)"
	       : !strcmp(result, rf_verdict_of_log_text(RF_LOG_OPEN_BEGIN))
		       ? " (as far as it goes; give the earlier files to know of all lines)"
		       : "");
	return rf_flush();
}

static int code_of(enum rf_verdict_of_log v)
{
	static const int codes[] = { RF_EXIT_OK, RF_EXIT_OPEN_END, RF_EXIT_OPEN_END,
				     RF_EXIT_CANNOT_TELL, RF_EXIT_NO };

	return codes[v];
}

static int read_key(const char *path, struct rf_note_key *out)
{
	char text[RF_NOTE_KEY_TEXT];
	struct rf_note_key secret;
	bool is_secret = false;
	size_t len;
	int err = rf_file_read(path, text, sizeof(text), &len);

	if (!err)
		err = rf_note_public_parse(text, len, out);
	if (err == -EBADMSG)
		is_secret = !rf_note_secret_parse(text, len, &secret);
	sodium_memzero(&secret, sizeof(secret));
	sodium_memzero(text, sizeof(text));
	if (!err)
		return RF_EXIT_OK;
	if (is_secret)
		return rf_fail(RF_EXIT_CANNOT_TELL, "no signature can be checked",
			       "give the FILE.pub beside it, and keep this one where the VM runs",
			       "public key %s: it is none, but the secret key", path);
	return rf_fail(RF_EXIT_CANNOT_TELL, "no signature can be checked",
		       "give the FILE.pub that `ringfence audit keygen` has made",
		       "public key %s: %s", path, err == -EBADMSG ? "it is none" : strerror(-err));
}

int rf_audit_verify(char *const *files, const uid_t *owners, char *const *typed, const char *key,
		    bool json)
{
	struct report r = { .files = files, .key = key };
	struct rf_patch_proof *p;
	struct rf_verify *v;
	enum rf_verdict_of_log verdict;
	struct rf_note_key trusted;
	int err, code = key ? read_key(key, &trusted) : RF_EXIT_OK;
	unsigned int i;

	if (code)
		return code;
	v = rf_verify_create(keep, &r);
	p = rf_patch_proof_create(keep_of_patches, &r);
	err = v && p ? 0 : -ENOMEM;
	if (v && key)
		rf_verify_trust(v, &trusted);
	for (i = 0; files[i] && !err; i++)
		err = read_file(files[i], owners[i], v, p, i);
	if (err || r.no_memory) {
		code = err && err != -ENOMEM
			       ? rf_fail(err == -ENOENT ? RF_EXIT_NOT_FOUND : RF_EXIT_CANNOT_TELL,
					 "nothing can be said about the log",
					 "give a VM's name (see `ringfence list`) or the path of a "
					 "log that this user may read",
					 "cannot read the log %s: %s", typed[i - 1],
					 rf_log_problem(err))
			       : rf_fail(RF_EXIT_INTERNAL, "nothing can be said about the log",
					 "free some memory", "no memory to verify the log");
	} else {
		verdict = rf_verify_finish(v);
		if (r.of_patches > verdict)
			verdict = r.of_patches;
		code = print_report(&r, v, rf_verdict_of_log_text(verdict), json);
		if (!code)
			code = code_of(verdict);
	}
	rf_verify_destroy(v);
	rf_patch_proof_destroy(p);
	free(r.found);
	return code;
}
