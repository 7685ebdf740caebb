// SPDX-License-Identifier: LGPL-2.1-or-later
/* `audit patches`: the log of allowed text patches, which is too big for JSON lines. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/audit_patches.h"
#include "cli/output.h"
#include "cli/patch_names.h"
#include "cli/paths.h"
#include "cli/safe_file.h"
#include "patch/judge.h"
#include "patch/kinds.h"
#include "policy/patchlog.h"

#define BLOCK 512 /* records at once */

static void hex(char *out, const uint8_t *bytes, uint8_t len)
{
	for (uint8_t i = 0; i < len; i++)
		sprintf(out + 2 * i, "%02x", bytes[i]);
}

static void when(char *out, size_t size, uint64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, size - n, ".%06uZ", (unsigned int)(ns / 1000 % 1000000));
}

static int print(const struct rf_patch_line *l, const struct rf_patch_head *head,
		 const struct rf_patch_names *names, bool json)
{
	char before[17], after[17], time[64];
	unsigned long long addr = head->base + l->at;
	const char *kind = rf_site_kind_text((enum rf_site_kind)l->kind);
	const char *function = rf_patch_names_find(names, head, l->at), *target = NULL;
	uint32_t to;

	if (rf_patch_leads(l, &to))
		target = rf_patch_names_find(names, head, to);
	hex(before, l->before, l->len);
	hex(after, l->after, l->len);
	when(time, sizeof(time), l->ns);
	if (!json) {
		printf("%-28s %4u  %-22s 0x%016llx  %-12s  %-12s  %-32s  %s\n", time, l->vcpu, kind,
		       addr, before, after, function ? function : "-", target ? target : "-");
		return ferror(stdout) ? -EIO : 0;
	}
	printf("{\"time\":\"%s\",\"instance\":\"0x%llx\",\"kernel\":%llu,\"vcpu\":%u,"
	       "\"kind\":\"%s\",\"addr\":\"0x%llx\",\"offset\":\"0x%x\",\"before\":\"%s\","
	       "\"after\":\"%s\"",
	       time, (unsigned long long)head->instance, (unsigned long long)head->kernel, l->vcpu,
	       kind, addr, l->at, before, after);
	if (function)
		printf(",\"function\":\"%s\"", function);
	if (target)
		printf(",\"target\":\"%s\"", target);
	puts("}");
	return ferror(stdout) ? -EIO : 0;
}

/* Where the last n patches begin, and the head they follow. */
static int find_start(int fd, uint64_t records, uint64_t n, uint64_t *start,
		      struct rf_patch_head *head)
{
	union rf_patch_record block[BLOCK];
	uint64_t at = records, found = 0;

	*start = 0;
	*head = (struct rf_patch_head){ 0 };
	while (at) {
		size_t want = at < BLOCK ? (size_t)at : BLOCK;
		uint64_t offset = (at - want) * sizeof(block[0]);
		long got = rf_patchlog_read(fd, &offset, block, want);

		if (got != (long)want)
			return got < 0 ? (int)got : -EIO;
		for (size_t i = want; i--;) {
			if (found == n && rf_patch_is_head(&block[i])) {
				*head = block[i].head;
				return 0;
			}
			if (found < n && rf_patch_is_line(&block[i]) && ++found == n)
				*start = at - want + i;
		}
		at -= want;
	}
	return 0;
}

static int print_from(int fd, uint64_t offset, struct rf_patch_head head,
		      const struct rf_patch_names *names, bool json)
{
	union rf_patch_record block[BLOCK];
	long got;
	int err = 0;

	if (!json)
		printf("%-28s %4s  %-22s %-18s  %-12s  %-12s  %-32s  %s\n", "TIME", "VCPU", "KIND",
		       "ADDRESS", "BEFORE", "AFTER", "FUNCTION", "TARGET");
	while ((got = rf_patchlog_read(fd, &offset, block, BLOCK)) > 0) {
		for (long i = 0; i < got && !err; i++) {
			if (rf_patch_is_head(&block[i]))
				head = block[i].head;
			else if (rf_patch_is_line(&block[i]))
				err = print(&block[i].line, &head, names, json);
		}
		if (err)
			return err;
	}
	return (int)got;
}

static int show(int fd, uint32_t n, bool json)
{
	struct rf_patch_names *names;
	struct rf_patch_head head;
	uint64_t start;
	struct stat st;
	int err;

	if (fstat(fd, &st))
		return -errno;
	err = find_start(fd, (uint64_t)st.st_size / sizeof(union rf_patch_record), n, &start,
			 &head);
	if (err || !n)
		return err;
	start *= sizeof(union rf_patch_record);
	err = rf_patch_names_read(fd, start, &head, &names);
	if (err)
		return err;
	err = print_from(fd, start, head, names, json);
	rf_patch_names_destroy(names);
	return err;
}

int rf_audit_patches(const char *log, uid_t owner, uint32_t n, bool json)
{
	char path[PATH_MAX];
	struct rf_why why;
	int fd, err;

	if (rf_patches_path(log, path))
		return rf_fail(RF_EXIT_USAGE, "nothing was shown", "give a shorter path",
			       "the path of the patch log is too long");
	/* In a folder that others may write it may be anybody's. */
	fd = rf_path_read_of(path, owner, &why);
	if (fd == -EPERM)
		return rf_fail(RF_EXIT_NOT_FOUND, "no patch can be shown", why.todo,
			       "cannot read the patch log %s: %s", path, why.what);
	if (fd < 0)
		return rf_fail(RF_EXIT_NOT_FOUND, "no patch can be shown",
			       "give a VM's name (see `ringfence list`) or the path of a log",
			       "cannot read the patch log %s: %s", path, strerror(-fd));
	err = show(fd, n, json);
	close(fd);
	if (err)
		return rf_fail(RF_EXIT_INTERNAL, "what was printed is not complete", "run it again",
			       "reading %s stopped: %s", path, strerror(-err));
	return rf_flush();
}
