// SPDX-License-Identifier: LGPL-2.1-or-later
/* What has to be said before the next line, because the file is not what the chain says of it. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/audit_impl.h"
#include "policy/jsonline.h"

/* Does the chain's last line stand in this very file, and not where it was written? */
static bool is_cut(const struct rf_audit *a)
{
	const struct rf_chain_state *now = rf_chain_now(a->chain);
	char end[RF_CHAIN_END_BYTES];
	struct stat st;
	ssize_t n;

	if (now->end < sizeof(end) || fstat(a->fd, &st) || now->dev != st.st_dev ||
	    now->ino != st.st_ino)
		return false;
	n = pread(a->fd, end, sizeof(end), (off_t)(now->end - sizeof(end)));
	return n >= 0 && !rf_chain_ends_with(end, (size_t)n, now->hash);
}

/*
 * Somebody has emptied it under our hands, as who copies a log and truncates it does: what it has
 * still is looked for, and what it has no more is a gap, as where a writer begins.
 */
static void look_again(struct rf_audit *a)
{
	struct rf_audit_found f = { 0 };

	if (a->gap_to || !is_cut(a) || rf_audit_tail(a->fd, a->chain, &a->seen, &f))
		return;
	a->cuts++;
	if (f.now_end)
		return;
	a->gap_from = f.highest + 1;
	a->gap_to = rf_chain_now(a->chain)->seq;
}

/* What is not in this file any more, and perhaps in none. */
static int name_gap(struct rf_audit *a)
{
	struct rf_jsonline j;
	char detail[96];
	int err;

	snprintf(detail, sizeof(detail), "lines %" PRIu64 " to %" PRIu64 " are not in this file",
		 a->gap_from, a->gap_to);
	rf_audit_start_line(a, "gap", &j);
	rf_jsonline_number(&j, "from", a->gap_from);
	rf_jsonline_number(&j, "to", a->gap_to);
	rf_jsonline_text(&j, "detail", detail, sizeof(detail));
	err = rf_audit_finish_line(a, &j, false);
	if (rf_chain_now(a->chain)->seq > a->gap_to)
		a->gap_to = 0;
	return err;
}

/* The chain goes on behind what is in the file, which nothing vouches for. */
static int name_anew(struct rf_audit *a)
{
	uint64_t before = rf_chain_now(a->chain)->seq;
	struct rf_jsonline j;
	int err;

	rf_audit_start_line(a, "decision", &j);
	rf_jsonline_text(&j, "kind", "monitor", TEXT_MAX);
	rf_jsonline_text(&j, "outcome", "the chain goes on behind the file's last line", TEXT_MAX);
	rf_jsonline_text(&j, "detail",
			 "the memory that says where the chain stands is of another release, or "
			 "damaged: lines that were cut off before this one cannot be told",
			 DETAIL_MAX);
	err = rf_audit_finish_line(a, &j, false);
	if (rf_chain_now(a->chain)->seq > before)
		a->anew = false;
	return err;
}

/* Another file has what was written before. With the tree of those lines, the roots of its full
 * subtrees, signatures in this file can be checked without that one. */
static int name_continued(struct rf_audit *a)
{
	const struct rf_chain_state *now = rf_chain_now(a->chain);
	uint8_t roots[RF_MERKLE_PACKED];
	struct rf_jsonline j;
	char detail[96];
	int err;

	snprintf(detail, sizeof(detail), "lines up to %" PRIu64 " are in an earlier file",
		 now->seq);
	rf_audit_start_line(a, "continued", &j);
	rf_jsonline_number(&j, "to", now->seq);
	rf_jsonline_text(&j, "detail", detail, sizeof(detail));
	if (now->tree.size == now->seq)
		rf_jsonline_hex(&j, "tree", roots, rf_merkle_pack(&now->tree, roots));
	err = rf_audit_finish_line(a, &j, false);
	if (!err)
		a->continues = false;
	return err;
}

int rf_audit_settle(struct rf_audit *a)
{
	int err;

	look_again(a);
	err = a->gap_to ? name_gap(a) : a->anew ? name_anew(a) : 0;
	return !err && a->continues ? name_continued(a) : err;
}

int rf_audit_begin_line(struct rf_audit *a, const char *type, struct rf_jsonline *j)
{
	int err = rf_audit_settle(a);

	if (!err)
		rf_audit_start_line(a, type, j);
	return err;
}
