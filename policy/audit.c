// SPDX-License-Identifier: LGPL-2.1-or-later
/* Needs write(2), fdatasync(2), fstat(2), pread(2), lseek(2) and clock_gettime(2) alone: the
 * monitor does it inside its sandbox. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policy/audit_impl.h"
#include "policy/checkpoint.h"
#include "policy/jsonline.h"
#include "policy/patchlog.h"

bool rf_audit_has_event(const struct rf_audit *a, uint64_t event)
{
	return rf_audit_seen_has(&a->seen, event);
}

bool rf_audit_decision(const struct rf_audit *a, uint64_t event, struct rf_audit_decision *out)
{
	const struct rf_audit_decision *d;

	if (!rf_audit_seen_has(&a->seen, event))
		return false;
	d = rf_audit_seen_kept(&a->seen, event);
	*out = d ? *d : (struct rf_audit_decision){ .event = event };
	return true;
}

uint64_t rf_audit_count(const struct rf_audit *a, enum rf_word w)
{
	return rf_word_text(w) ? a->count[w] : 0;
}

static void put_named(struct rf_jsonline *j, const char *name, const struct rf_named *n)
{
	rf_jsonline_open(j, name);
	if (n->symbol[0]) {
		rf_jsonline_text(j, "symbol", n->symbol, sizeof(n->symbol));
		rf_jsonline_address(j, "offset", n->offset);
	}
	rf_jsonline_address(j, "addr", n->addr);
	if (n->module[0])
		rf_jsonline_text(j, "module", n->module, sizeof(n->module));
	rf_jsonline_close(j);
}

static void put_optional(struct rf_jsonline *j, const char *name, const char *text, size_t max)
{
	if (text && text[0])
		rf_jsonline_text(j, name, text, max);
}

static void put_action(struct rf_jsonline *j, const struct rf_record *r)
{
	size_t kept = r->len < RF_AUDIT_BYTES ? r->len : RF_AUDIT_BYTES;

	if (r->has_target)
		put_named(j, "target", &r->target);
	if (r->has_writer) {
		put_named(j, "writer", &r->writer);
		rf_jsonline_address(j, "rip", r->writer.addr);
	}
	if (r->has_handler)
		put_named(j, "handler", &r->handler);
	if (r->has_task) {
		rf_jsonline_open(j, "task");
		rf_jsonline_text(j, "comm", r->task, sizeof(r->task));
		rf_jsonline_signed(j, "pid", r->pid);
		rf_jsonline_number(j, "uid", r->uid);
		rf_jsonline_bool(j, "claimed_by_guest", true);
		rf_jsonline_close(j);
	}
	if (r->gpa)
		rf_jsonline_address(j, "gpa", r->gpa);
	if (r->len)
		rf_jsonline_number(j, "len", r->len);
	if (r->has_old)
		rf_jsonline_hex(j, "old", r->old_bytes, kept);
	if (r->has_new)
		rf_jsonline_hex(j, "new", r->new_bytes, kept);
}

static void put_answer(struct rf_jsonline *j, const struct rf_audit_answer *a)
{
	rf_jsonline_open(j, "answer");
	rf_jsonline_text(j, "verdict", rf_answered_text(a->verdict), TEXT_MAX);
	if (a->has_fault) {
		rf_jsonline_number(j, "vector", a->vector);
		rf_jsonline_number(j, "error_code", a->error_code);
		rf_jsonline_address(j, "cr2", a->cr2);
		rf_jsonline_address(j, "rip", a->rip);
		rf_jsonline_address(j, "rflags", a->rflags);
	}
	if (a->has_gpr)
		rf_jsonline_hex(j, "gpr", (const uint8_t *)a->gpr, sizeof(a->gpr));
	if (a->has_table) {
		rf_jsonline_open(j, "table");
		rf_jsonline_address(j, "base", a->base);
		rf_jsonline_number(j, "limit", a->limit);
		rf_jsonline_number(j, "selector", a->selector);
		rf_jsonline_close(j);
	}
	rf_jsonline_close(j);
}

static void put_patch_log(struct rf_jsonline *j, const struct rf_patch_span *s)
{
	rf_jsonline_open(j, "patch_log");
	rf_jsonline_number(j, "from", s->from);
	rf_jsonline_number(j, "to", s->to);
	rf_jsonline_hex(j, "sha256", s->sha256, sizeof(s->sha256));
	rf_jsonline_close(j);
}

static void remember(struct rf_audit *a, const struct rf_record *r)
{
	struct rf_audit_decision d = { .event = r->event, .word = r->verdict };

	if (r->answer) {
		d.exact = true;
		d.answer = *r->answer;
	}
	snprintf(d.rule, sizeof(d.rule), "%s", r->rule ? r->rule : "");
	rf_audit_seen_decision(&a->seen, &d);
}

int rf_audit_write(struct rf_audit *a, const struct rf_record *r)
{
	struct rf_jsonline j;
	int err;

	if (!r->kind || (r->verdict && !rf_word_text(r->verdict)) ||
	    (r->answer && (!r->event || !rf_answered_text(r->answer->verdict))))
		return -EINVAL;
	err = rf_audit_begin_line(a, "decision", &j);
	if (err)
		return err;
	if (r->event) {
		rf_jsonline_number(&j, "event", r->event);
		rf_jsonline_number(&j, "vcpu", r->vcpu);
	}
	rf_jsonline_text(&j, "kind", r->kind, TEXT_MAX);
	put_optional(&j, "region", r->region, TEXT_MAX);
	put_action(&j, r);
	put_optional(&j, "disassembly", r->disassembly, TEXT_MAX);
	put_optional(&j, "rule", r->rule, TEXT_MAX);
	put_optional(&j, "verdict", rf_word_text(r->verdict), TEXT_MAX);
	put_optional(&j, "outcome", r->outcome, TEXT_MAX);
	if (r->answer)
		put_answer(&j, r->answer);
	put_optional(&j, "detail", r->detail, DETAIL_MAX);
	put_optional(&j, "sha256", r->sha256, sizeof(r->sha256));
	put_optional(&j, "expected", r->expected, sizeof(r->expected));
	if (r->size)
		rf_jsonline_number(&j, "size", r->size);
	if (r->patch_log)
		put_patch_log(&j, r->patch_log);
	err = rf_audit_finish_line(a, &j, false);
	if (err)
		return err;
	if (r->event)
		remember(a, r);
	if (r->verdict)
		a->count[r->verdict]++;
	return 0;
}

int rf_audit_outcome(struct rf_audit *a, uint64_t event, const char *status)
{
	struct rf_jsonline j;
	int err = rf_audit_begin_line(a, "outcome", &j);

	if (err)
		return err;
	rf_jsonline_number(&j, "event", event);
	rf_jsonline_text(&j, "status", status, TEXT_MAX);
	return rf_audit_finish_line(a, &j, false);
}

/* Signs what stands before it: a checkpoint is not a leaf of its own tree. */
static int write_checkpoint(struct rf_audit *a)
{
	struct rf_checkpoint c = { .size = 0 };
	char note[RF_NOTE_BYTES];
	struct rf_jsonline j;
	int err = rf_audit_begin_line(a, "checkpoint", &j);

	if (err)
		return err;
	rf_checkpoint_origin(a->vm, rf_chain_now(a->chain)->instance, c.origin);
	c.size = rf_chain_now(a->chain)->tree.size;
	rf_merkle_root(&rf_chain_now(a->chain)->tree, c.root);
	err = rf_checkpoint_sign(a->key, &c, note);
	if (err)
		return err;
	rf_jsonline_number(&j, "tree_size", c.size);
	rf_jsonline_hex(&j, "root", c.root, sizeof(c.root));
	rf_jsonline_utf8(&j, "note", note, sizeof(note));
	return rf_audit_finish_line(a, &j, true);
}

/* All lines until now are known. */
static bool signs(const struct rf_audit *a)
{
	const struct rf_chain_state *now = rf_chain_now(a->chain);

	return a->key && now->tree.size == now->seq;
}

static bool can_sign(const struct rf_audit *a)
{
	const struct rf_chain_state *now = rf_chain_now(a->chain);

	return signs(a) && now->seq > now->checkpoint;
}

int rf_audit_tick(struct rf_audit *a)
{
	const struct rf_chain_state *now = rf_chain_now(a->chain);
	uint64_t ns = rf_audit_now_ns();

	bool many = now->seq - now->checkpoint >= RF_AUDIT_CHECKPOINT_LINES && !a->failed;
	int err;

	if (!can_sign(a) || (!many && ns - a->tried_ns < RF_AUDIT_CHECKPOINT_NS))
		return 0;
	a->tried_ns = ns;
	err = write_checkpoint(a);
	a->failed = err;
	return err;
}

int rf_audit_end(struct rf_audit *a, const char *cause)
{
	struct rf_jsonline j;
	int err = rf_audit_begin_line(a, "end", &j);

	if (err)
		return err;
	if (cause)
		rf_jsonline_text(&j, "cause", cause, RF_AUDIT_CAUSE);
	/* Then it is not the last line, and a log where it is was cut. */
	if (signs(a))
		rf_jsonline_bool(&j, "signed", true);
	err = rf_audit_finish_line(a, &j, false);
	return err || !can_sign(a) ? err : write_checkpoint(a);
}

/* What the old file does not take is missed by nobody but who looks for its end. */
static void end_file(struct rf_audit *a)
{
	struct rf_jsonline j;
	int err = rf_audit_begin_line(a, "rotated", &j);

	if (!err)
		err = rf_audit_finish_line(a, &j, false);
	if (!err && can_sign(a))
		write_checkpoint(a);
}

int rf_audit_rotate(struct rf_audit *a, int fd)
{
	struct stat old, st;

	if (fstat(fd, &st) || fstat(a->fd, &old))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_dev == old.st_dev && st.st_ino == old.st_ino)
		return -EEXIST;
	end_file(a);
	close(a->fd);
	a->fd = fd;
	a->continues = rf_chain_now(a->chain)->seq;
	rf_audit_settle(a);
	return 0;
}

uint64_t rf_audit_cuts(const struct rf_audit *a)
{
	return a->cuts;
}

int rf_audit_line(struct rf_audit *a, const char *type,
		  void (*put)(struct rf_jsonline *j, const void *what), const void *what)
{
	struct rf_jsonline j;
	int err = rf_audit_begin_line(a, type, &j);

	if (err)
		return err;
	put(&j, what);
	return rf_audit_finish_line(a, &j, false);
}

uint64_t rf_audit_written(const struct rf_audit *a)
{
	return a->seen.folded;
}

uint64_t rf_audit_size(const struct rf_audit *a)
{
	struct stat st;

	return fstat(a->fd, &st) || st.st_size < 0 ? 0 : (uint64_t)st.st_size;
}
