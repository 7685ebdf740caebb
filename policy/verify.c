// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/verify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <sodium.h>

#include "policy/chain.h"
#include "policy/checkpoint.h"

struct place {
	unsigned int file;
	uint64_t line;
};

/* Lines that had not come when a later one did; some came then. */
struct missing {
	uint64_t from, to;
	enum rf_finding_kind kind;
	struct place at; /* where it was noticed */
};

struct instance {
	struct rf_verified is;
	uint64_t next; /* seq that comes next */
	uint8_t hash[RF_CHAIN_BYTES];
	bool linked; /* hash is that of the line before */
	/* Over the lines until now; its size is less where one is not as it was, or not where. */
	struct rf_merkle tree;
	bool without_tree;	  /* its first line does not say what the lines before it are */
	uint64_t checkpoint, end; /* seq of the last lines of these types */
	bool to_be_signed;	  /* the end says that a checkpoint is behind it */
	uint64_t rotated;	  /* seq of the last line that ends a file, 0 none */
	bool last_is_checkpoint;
	struct place checkpoint_at;
	/* Signed, as it seems, of lines that are not all here as they were. */
	uint64_t not_computed, not_computed_last; /* the first and the last one's seq, 0 none */
	struct place not_computed_at;
	struct place last, first_not_chained;
	struct missing *missing; /* in their order, and apart */
	size_t count, room;
	uint64_t *late; /* seq of the lines that came then */
	size_t late_count, late_room;
};

/* Whoever made the log may have chosen the keys: by a hash that nobody else knows. */
struct slot {
	uint64_t id, seq; /* seq 0: an instance, else one of its late lines */
	size_t at;	  /* from 1, where the instance is; 0: the slot is free */
};

struct rf_verify {
	rf_finding_fn fn;
	void *ctx;
	const struct rf_note_key *key;
	struct instance *all;
	size_t count, room, recent;
	struct slot *slots; /* a power of two of them, half of them free at least */
	size_t slot_count, slots_used;
	uint8_t secret[crypto_shorthash_KEYBYTES];
	uint64_t steps;
	enum rf_verdict_of_log worst;
	/* The lines since the last record, which are none: that many from this place on. */
	struct place noise;
	uint64_t noises;
	struct place torn; /* the last line of a file, which lacks its newline; line 0 none */
	bool any;
};

static const struct {
	const char *text;
	enum rf_verdict_of_log weight;
} kinds[RF_FOUND_KINDS] = {
	[RF_FOUND_CHANGED] = { "changed", RF_LOG_NOT_INTACT },
	[RF_FOUND_NOT_LINKED] = { "not linked", RF_LOG_NOT_INTACT },
	[RF_FOUND_LOST] = { "lost", RF_LOG_NOT_INTACT },
	[RF_FOUND_LOST_TOLD] = { "lost, as a gap says", RF_LOG_NOT_INTACT },
	[RF_FOUND_MOVED] = { "moved", RF_LOG_NOT_INTACT },
	[RF_FOUND_TWICE] = { "twice", RF_LOG_NOT_INTACT },
	[RF_FOUND_AFTER_END] = { "after the end", RF_LOG_NOT_INTACT },
	[RF_FOUND_ADDED] = { "added", RF_LOG_NOT_INTACT },
	[RF_FOUND_NO_RECORD] = { "no record", RF_LOG_NOT_INTACT },
	[RF_FOUND_FALSE_CHECKPOINT] = { "false checkpoint", RF_LOG_NOT_INTACT },
	[RF_FOUND_NOT_COMPUTED] = { "covers nothing, lines before it differ", RF_LOG_NOT_INTACT },
	[RF_FOUND_NOT_SIGNED] = { "not signed", RF_LOG_NOT_INTACT },
	[RF_FOUND_NO_CHECKPOINT] = { "no checkpoint", RF_LOG_CANNOT_TELL },
	[RF_FOUND_EARLIER] = { "in an earlier file", RF_LOG_OPEN_BEGIN },
	[RF_FOUND_NOT_CHAINED] = { "not chained", RF_LOG_CANNOT_TELL },
	[RF_FOUND_ROTATED] = { "goes on in a later file", RF_LOG_OPEN_END },
	[RF_FOUND_OPEN_END] = { "open end", RF_LOG_OPEN_END },
	[RF_FOUND_NOT_COVERED] = { "nothing after this checkpoint can be known", RF_LOG_OPEN_END },
	[RF_FOUND_TORN] = { "torn", RF_LOG_OPEN_END },
	[RF_FOUND_TORN_TOLD] = { "torn, as the next line says", RF_LOG_INTACT },
	[RF_FOUND_PATCHES_CHANGED] = { "the patch log is not what it says", RF_LOG_NOT_INTACT },
	[RF_FOUND_PATCHES_MISSING] = { "the patch log is not there", RF_LOG_CANNOT_TELL },
	[RF_FOUND_PATCHES_TOO_MANY] = { "too many share the patch log", RF_LOG_CANNOT_TELL },
	[RF_FOUND_PATCHES_NOT_COVERED] = { "patches that it says nothing of", RF_LOG_OPEN_END },
	[RF_FOUND_UNWRITTEN] = { "unwritten", RF_LOG_INTACT },
};

const char *rf_finding_text(enum rf_finding_kind k)
{
	return kinds[k].text;
}

enum rf_verdict_of_log rf_finding_weight(enum rf_finding_kind k)
{
	return kinds[k].weight;
}

const char *rf_verdict_of_log_text(enum rf_verdict_of_log v)
{
	static const char *const texts[] = { "intact", "open end", "open begin", "cannot tell",
					     "not intact" };

	return texts[v];
}

struct rf_verify *rf_verify_create(rf_finding_fn fn, void *ctx)
{
	struct rf_verify *v = calloc(1, sizeof(*v));

	if (v) {
		v->fn = fn;
		v->ctx = ctx;
		randombytes_buf(v->secret, sizeof(v->secret));
	}
	return v;
}

void rf_verify_destroy(struct rf_verify *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < v->count; i++) {
		free(v->all[i].missing);
		free(v->all[i].late);
	}
	free(v->all);
	free(v->slots);
	free(v);
}

void rf_verify_trust(struct rf_verify *v, const struct rf_note_key *key)
{
	v->key = key;
}

static void worsen(enum rf_verdict_of_log *of, enum rf_verdict_of_log to)
{
	if (to > *of)
		*of = to;
}

static void find(struct rf_verify *v, struct instance *i, enum rf_finding_kind kind,
		 struct place at, uint64_t seq, uint64_t to)
{
	const struct rf_finding f = { .kind = kind,
				      .instance = i ? i->is.instance : 0,
				      .seq = seq,
				      .to = to,
				      .file = at.file,
				      .line = at.line };

	worsen(&v->worst, rf_finding_weight(kind));
	if (i)
		worsen(&i->is.verdict, rf_finding_weight(kind));
	v->fn(v->ctx, &f);
}

/* --- growing ---------------------------------------------------------------- */

static int make_room(void **items, size_t *room, size_t count, size_t size)
{
	size_t more = *room ? 2 * *room : 8;
	void *bigger;

	if (count < *room)
		return 0;
	bigger = reallocarray(*items, more, size);
	if (!bigger)
		return -ENOMEM;
	*items = bigger;
	*room = more;
	return 0;
}

/* --- what was met before ------------------------------------------------------ */

/* The slot of that key, or the free one where it belongs. */
static struct slot *slot_of(struct rf_verify *v, uint64_t id, uint64_t seq)
{
	const uint64_t key[] = { id, seq };
	uint8_t hash[crypto_shorthash_BYTES];
	uint64_t at;

	crypto_shorthash(hash, (const uint8_t *)key, sizeof(key), v->secret);
	memcpy(&at, hash, sizeof(at));
	for (;; at++) {
		struct slot *s = &v->slots[at & (v->slot_count - 1)];

		v->steps++;
		if (!s->at || (s->id == id && s->seq == seq))
			return s;
	}
}

/* For one more. */
static int slot_room(struct rf_verify *v)
{
	struct slot *old = v->slots;
	size_t count = v->slot_count;

	if (2 * (v->slots_used + 1) <= count)
		return 0;
	v->slots = calloc(count ? 2 * count : 64, sizeof(*old));
	if (!v->slots) {
		v->slots = old;
		return -ENOMEM;
	}
	v->slot_count = count ? 2 * count : 64;
	for (size_t n = 0; n < count; n++)
		if (old[n].at)
			*slot_of(v, old[n].id, old[n].seq) = old[n];
	free(old);
	return 0;
}

/* NULL: no memory. */
static struct instance *instance_of(struct rf_verify *v, uint64_t id, const json_t *root)
{
	const char *vm = json_string_value(json_object_get(root, "vm"));
	struct slot *s;

	if (v->recent < v->count && v->all[v->recent].is.instance == id)
		return &v->all[v->recent];
	if (slot_room(v))
		return NULL;
	s = slot_of(v, id, 0);
	if (!s->at) {
		if (make_room((void **)&v->all, &v->room, v->count, sizeof(*v->all)))
			return NULL;
		v->all[v->count] =
			(struct instance){ .is.instance = id, .next = 1, .linked = true };
		snprintf(v->all[v->count].is.vm, sizeof(v->all[0].is.vm), "%s", vm ? vm : "");
		*s = (struct slot){ id, 0, ++v->count };
		v->slots_used++;
	}
	v->recent = s->at - 1;
	return &v->all[v->recent];
}

/* Behind all that was missed before: numbers that are next only grow. */
static int miss(struct instance *i, uint64_t from, uint64_t to, enum rf_finding_kind kind,
		struct place at)
{
	int err = make_room((void **)&i->missing, &i->room, i->count, sizeof(*i->missing));

	if (!err)
		i->missing[i->count++] = (struct missing){ from, to, kind, at };
	return err;
}

static bool was_missed(struct rf_verify *v, const struct instance *i, uint64_t seq)
{
	size_t from = 0, to = i->count;

	while (from < to) {
		size_t n = from + (to - from) / 2;

		v->steps++;
		if (seq < i->missing[n].from)
			to = n;
		else if (seq > i->missing[n].to)
			from = n + 1;
		else
			return true;
	}
	return false;
}

/* Has it been missed until now? 1, 0 or -ENOMEM. */
static int found_late(struct rf_verify *v, struct instance *i, uint64_t seq)
{
	struct slot *s;

	if (!was_missed(v, i, seq))
		return 0;
	if (slot_room(v) ||
	    make_room((void **)&i->late, &i->late_room, i->late_count, sizeof(*i->late)))
		return -ENOMEM;
	s = slot_of(v, i->is.instance, seq);
	if (s->at)
		return 0;
	*s = (struct slot){ i->is.instance, seq, 1 };
	v->slots_used++;
	i->late[i->late_count++] = seq;
	return 1;
}

/* --- a line ------------------------------------------------------------------ */

static void step(struct instance *i, uint64_t seq, const uint8_t *hash, struct place at)
{
	if (!i->is.first)
		i->is.first = seq;
	i->is.last = seq;
	i->is.records++;
	i->next = seq + 1;
	i->last = at;
	i->linked = hash;
	if (!hash)
		return;
	memcpy(i->hash, hash, sizeof(i->hash));
	if (i->tree.size == seq - 1)
		rf_merkle_add(&i->tree, hash, sizeof(i->hash));
}

/* It is not as it was. Where it stood can be told if it names the line before it, or its number
 * is the next one; else that number will be missed as well. What the next line names is then not
 * compared: the hash may be what was changed. */
static void take_changed(struct rf_verify *v, struct instance *i, uint64_t seq,
			 const struct rf_chain_line *l, struct place at)
{
	bool fits = l && i->linked && !memcmp(l->prev, i->hash, sizeof(i->hash));

	find(v, i, RF_FOUND_CHANGED, at, fits ? i->next : seq, 0);
	if (fits || seq == i->next)
		step(i, i->next, NULL, at);
}

static bool is_type(const json_t *root, const char *type)
{
	return !strcmp(json_string_value(json_object_get(root, "type")) ?: "", type);
}

/* It is over lines of which one is not as it was, or not where. That one was found; of a file that
 * begins in the midst without the tree before it nothing else would be: no writer that could not
 * say that tree has signed one behind it. */
static void take_not_computed(struct rf_verify *v, struct instance *i, uint64_t seq,
			      struct place at)
{
	if (i->without_tree) {
		find(v, i, RF_FOUND_FALSE_CHECKPOINT, at, seq, 0);
		return;
	}
	if (!i->not_computed) {
		i->not_computed = seq;
		i->not_computed_at = at;
	}
	i->not_computed_last = seq;
}

/* Of a line that is as it was. Whoever may write the log has notes that were signed: they count
 * over the very lines that were signed alone, so by the tree of all lines before. */
static void take_checkpoint(struct rf_verify *v, struct instance *i, uint64_t seq,
			    const json_t *root, struct place at)
{
	const json_t *note = json_object_get(root, "note");
	char origin[RF_CHECKPOINT_ORIGIN];
	uint8_t hash[RF_MERKLE_BYTES];
	struct rf_checkpoint c;
	int err = rf_checkpoint_open(v->key, json_string_value(note) ?: "",
				     json_string_length(note), &c);

	if (err) {
		find(v, i, err == -EBADMSG ? RF_FOUND_FALSE_CHECKPOINT : RF_FOUND_NOT_SIGNED, at,
		     seq, 0);
		return;
	}
	rf_checkpoint_origin(i->is.vm, i->is.instance, origin);
	if (strcmp(origin, c.origin) != 0 || c.size != seq - 1) {
		find(v, i, RF_FOUND_FALSE_CHECKPOINT, at, seq, 0);
		return;
	}
	if (i->tree.size != c.size) {
		take_not_computed(v, i, seq, at);
		return;
	}
	rf_merkle_root(&i->tree, hash);
	if (memcmp(hash, c.root, sizeof(hash)) != 0) {
		find(v, i, RF_FOUND_FALSE_CHECKPOINT, at, seq, 0);
		return;
	}
	i->is.checkpoints++;
	i->is.covered = c.size;
	i->checkpoint = seq;
	i->checkpoint_at = at;
	i->to_be_signed = false;
}

/* The lines before this file's are a tree of which it has the roots: false ones would fit no root
 * that was signed. */
static bool take_tree(struct instance *i, const struct rf_chain_line *l, const json_t *root)
{
	const json_t *tree = json_object_get(root, "tree");
	uint8_t roots[RF_MERKLE_PACKED];
	size_t len;

	return !sodium_hex2bin(roots, sizeof(roots), json_string_value(tree) ?: "",
			       json_string_length(tree), NULL, &len, NULL) &&
	       rf_merkle_unpack(l->seq - 1, roots, len, &i->tree);
}

/* Of a line that comes before its turn. */
static int take_early(struct rf_verify *v, struct instance *i, const struct rf_chain_line *l,
		      const json_t *root, struct place at)
{
	bool all = json_integer_value(json_object_get(root, "to")) == (json_int_t)l->seq - 1;
	enum rf_finding_kind kind = RF_FOUND_LOST;

	if (all && is_type(root, "gap"))
		kind = RF_FOUND_LOST_TOLD;
	/* In the midst of an instance a file is missing. */
	if (all && is_type(root, "continued") && !i->is.first) {
		kind = RF_FOUND_EARLIER;
		i->without_tree = !take_tree(i, l, root);
	}
	return miss(i, i->next, l->seq - 1, kind, at);
}

static int take_chained(struct rf_verify *v, struct instance *i, const struct rf_chain_line *l,
			const json_t *root, struct place at)
{
	int err = 0;

	if (!l->holds) {
		take_changed(v, i, l->seq, l, at);
		return 0;
	}
	if (l->seq < i->next) {
		err = found_late(v, i, l->seq);
		if (err < 0)
			return err;
		i->is.records += (uint64_t)err;
		find(v, i, err ? RF_FOUND_MOVED : RF_FOUND_TWICE, at, l->seq, 0);
		return 0;
	}
	if (l->seq > i->next)
		err = take_early(v, i, l, root, at);
	else if (i->linked && memcmp(l->prev, i->hash, sizeof(i->hash)) != 0)
		find(v, i, RF_FOUND_NOT_LINKED, at, l->seq, 0);
	/* But for the one that covers it. */
	if (i->end && !(is_type(root, "checkpoint") && l->seq == i->end + 1))
		find(v, i, RF_FOUND_AFTER_END, at, l->seq, 0);
	i->last_is_checkpoint = is_type(root, "checkpoint");
	if (i->last_is_checkpoint)
		take_checkpoint(v, i, l->seq, root, at);
	if (is_type(root, "rotated"))
		i->rotated = l->seq;
	if (is_type(root, "unwritten"))
		find(v, i, RF_FOUND_UNWRITTEN, at, l->seq, 0);
	if (is_type(root, "end")) {
		i->is.ended = true;
		i->end = l->seq;
		i->to_be_signed = json_is_true(json_object_get(root, "signed"));
	}
	step(i, l->seq, l->hash, at);
	return err;
}

/* Of the lines that are no record: what a crash or a full disk left, however often it was tried, is
 * excused by the record behind it. */
static void settle_noise(struct rf_verify *v, bool told)
{
	for (; v->noises; v->noises--, v->noise.line++)
		find(v, NULL, told ? RF_FOUND_TORN_TOLD : RF_FOUND_NO_RECORD, v->noise, 0, 0);
}

/* The record behind it may stand in the next file. */
static void settle_torn(struct rf_verify *v, bool told)
{
	if (v->torn.line)
		find(v, NULL, told ? RF_FOUND_TORN_TOLD : RF_FOUND_TORN, v->torn, 0, 0);
	v->torn.line = 0;
}

/* Does all that was opened end, too? In half a line it does not, nor where another line is glued to
 * it. */
static bool closes(const char *line, size_t len)
{
	bool quoted = false;
	int depth = 0;

	for (size_t n = 0; n < len; n++) {
		if (line[n] == '\\')
			n++;
		else if (line[n] == '"')
			quoted = !quoted;
		else if (!quoted)
			depth += line[n] == '{' ? 1 : line[n] == '}' ? -1 : 0;
	}
	return !quoted && depth <= 0;
}

#define SECTOR 512 /* the least that a disk has or has not */

/* Has a power cut left zeros inside of it? Between two pieces of one line they are whole
 * sectors. */
static bool has_hole(const char *line, size_t len)
{
	const char *hole = memchr(line, '\0', len);
	size_t at = hole ? (size_t)(hole - line) : len, zeros = 0;

	while (at + zeros < len && !line[at + zeros])
		zeros++;
	return zeros && zeros % SECTOR == 0 && !closes(line, at);
}

/* May it be what a crash, a full disk or two writers left? Zeros are what a power cut leaves. Not
 * what a reader takes for an object, though it is no record by our rules, or begins with one. */
static bool may_be_torn(const char *line, size_t len)
{
	json_t *root;

	if (!len || !line[0] || (line[0] == '{' && has_hole(line, len)))
		return true;
	if (len > RF_VERIFY_LINE_BYTES || line[0] != '{' || closes(line, len))
		return false;
	root = json_loadb(line, len, JSON_DISABLE_EOF_CHECK, NULL);
	json_decref(root);
	return !root;
}

static void add_noise(struct rf_verify *v, const char *line, size_t len, struct place at)
{
	/* It was put there. So those before it are no writer's last try either. */
	if (!may_be_torn(line, len)) {
		settle_noise(v, false);
		find(v, NULL, RF_FOUND_NO_RECORD, at, 0, 0);
		return;
	}
	/* Only the last lines of a part of the log are its writer's. */
	if (v->noises && v->noise.file != at.file)
		settle_noise(v, false);
	if (!v->noises++)
		v->noise = at;
}

/* A record that has no place in a chain. */
static int take_unchained(struct rf_verify *v, const json_t *root, struct place at)
{
	uint64_t id = 0, seq = (uint64_t)json_integer_value(json_object_get(root, "seq"));
	struct instance *i;

	if (!rf_chain_address(root, "instance", &id))
		id = 0;
	i = instance_of(v, id, root);
	if (!i)
		return -ENOMEM;
	if (json_object_get(root, "hash") || json_object_get(root, "prev")) {
		take_changed(v, i, seq, NULL, at);
	} else if (i->is.first) {
		find(v, i, RF_FOUND_ADDED, at, 0, 0);
	} else if (!i->is.not_chained++) {
		i->first_not_chained = at;
	}
	return 0;
}

static int take_record(struct rf_verify *v, const json_t *root, const char *line, size_t len,
		       struct place at)
{
	struct rf_chain_line l = { .holds = false };
	struct instance *i;
	bool told;

	v->any = true;
	if (!rf_chain_line_of(root, line, len, &l)) {
		settle_noise(v, false);
		settle_torn(v, false);
		return take_unchained(v, root, at);
	}
	told = l.holds && json_is_true(json_object_get(root, "after_torn"));
	settle_noise(v, told);
	settle_torn(v, told && v->torn.file != at.file);
	i = instance_of(v, l.instance, root);
	return i ? take_chained(v, i, &l, root, at) : -ENOMEM;
}

/* Without the zeros behind it: after a power cut, where its newline and perhaps more should be. */
static size_t text_of(const char *line, size_t len)
{
	while (len && len <= RF_VERIFY_LINE_BYTES && !line[len - 1])
		len--;
	return len;
}

int rf_verify_line(struct rf_verify *v, unsigned int file, uint64_t number, const char *line,
		   size_t len, bool whole)
{
	const struct place at = { file, number };
	size_t text = text_of(line, len);
	json_t *root = NULL;
	int err = 0;

	if (text <= RF_VERIFY_LINE_BYTES)
		root = json_loadb(line, text, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(root))
		err = take_record(v, root, line, text, at);
	if (!whole) {
		settle_torn(v, false);
		v->torn = at;
		/* It was put there. */
		if (!json_is_object(root) && !may_be_torn(line, text))
			settle_torn(v, false);
	} else if (!json_is_object(root)) {
		add_noise(v, line, text, at);
	} else if (text < len) {
		add_noise(v, line + text, len - text, at);
	}
	json_decref(root);
	return err;
}

/* --- the end ------------------------------------------------------------------ */

static int compare_seq(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* What was missed, and did not come later: what is left between those that did. */
static void finish_missing(struct rf_verify *v, struct instance *i)
{
	size_t late = 0;

	if (i->late_count)
		qsort(i->late, i->late_count, sizeof(*i->late), compare_seq);
	for (size_t n = 0; n < i->count; n++) {
		const struct missing *m = &i->missing[n];
		uint64_t from = m->from;

		for (; late < i->late_count && i->late[late] <= m->to; late++) {
			v->steps++;
			if (from < i->late[late])
				find(v, i, m->kind, m->at, from, i->late[late] - 1);
			from = i->late[late] + 1;
		}
		v->steps++;
		if (from <= m->to)
			find(v, i, m->kind, m->at, from, m->to);
	}
}

/* But for a checkpoint, that was its last line. */
static bool is_rotated(const struct instance *i)
{
	return i->rotated && !i->is.ended &&
	       (i->is.last == i->rotated ||
		(i->is.last == i->rotated + 1 && i->last_is_checkpoint));
}

static void finish(struct rf_verify *v, struct instance *i)
{
	finish_missing(v, i);
	if (i->not_computed)
		find(v, i, RF_FOUND_NOT_COMPUTED, i->not_computed_at, i->not_computed,
		     i->not_computed_last);
	if (i->is.not_chained)
		find(v, i, RF_FOUND_NOT_CHAINED, i->first_not_chained, 0, i->is.not_chained);
	/* Of an end that lacks its checkpoint those below say more, where they apply. */
	if (i->is.first && (!i->is.ended ||
			    (i->to_be_signed && !i->is.checkpoints && !i->not_computed && !v->key)))
		find(v, i, is_rotated(i) ? RF_FOUND_ROTATED : RF_FOUND_OPEN_END, i->last,
		     i->is.last, 0);
	if (i->is.first && v->key && !i->is.checkpoints)
		find(v, i, RF_FOUND_NO_CHECKPOINT, i->last, 0, 0);
	/* An end that is not covered may be anybody's. */
	if (i->is.checkpoints && (!i->is.ended || i->is.covered < i->end))
		find(v, i, RF_FOUND_NOT_COVERED, i->checkpoint_at, i->checkpoint, 0);
	if (i->to_be_signed || (v->key && i->is.covered < i->end))
		i->is.ended = false;
}

enum rf_verdict_of_log rf_verify_finish(struct rf_verify *v)
{
	settle_noise(v, false);
	settle_torn(v, false);
	for (size_t n = 0; n < v->count; n++)
		finish(v, &v->all[n]);
	if (!v->any) /* it may be anything */
		v->worst = RF_LOG_CANNOT_TELL;
	return v->worst;
}

uint64_t rf_verify_steps(const struct rf_verify *v)
{
	return v->steps;
}

size_t rf_verify_count(const struct rf_verify *v)
{
	return v->count;
}

const struct rf_verified *rf_verify_instance(const struct rf_verify *v, size_t i)
{
	return &v->all[i].is;
}
