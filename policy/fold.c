// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/fold.h"

#include <errno.h>
#include <string.h>

#include "policy/audit_tail.h"

#define MAGIC UINT64_C(0x31444c4f46465200)
#define MINUTE_NS (60 * RF_FOLD_SECOND)
#define OTHERS (RF_FOLD_SLOTS - 1) /* the class of what has no place */

/* What was stored before it stays before it, for whoever takes over. */
static void in_order(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* --- allowances ------------------------------------------------------------ */

static bool has_room(uint64_t whole_at, uint64_t now, uint64_t period, uint64_t burst)
{
	return whole_at <= now || whole_at - now <= (burst - 1) * period;
}

static void use(uint64_t *whole_at, uint64_t now, uint64_t period)
{
	*whole_at = (*whole_at > now ? *whole_at : now) + period;
}

/* --- keys and classes ------------------------------------------------------ */

static uint64_t hash_bytes(uint64_t h, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	while (len--)
		h = (h ^ *p++) * UINT64_C(0x100000001b3);
	return h;
}

/* FNV-1a. Who finds two keys with one hash gains nothing: they are compared as well. */
static uint64_t hash_of(const struct rf_fold_what *w)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	h = hash_bytes(h, w->kind, strlen(w->kind) + 1);
	h = hash_bytes(h, w->rule, strlen(w->rule) + 1);
	h = hash_bytes(h, &w->verdict, sizeof(w->verdict));
	h = hash_bytes(h, &w->ended, 1);
	h = hash_bytes(h, &w->has_target, 1);
	h = hash_bytes(h, &w->has_writer, 1);
	h = hash_bytes(h, &w->target, sizeof(w->target));
	h = hash_bytes(h, &w->writer, sizeof(w->writer));
	h = hash_bytes(h, w->detail, strlen(w->detail));
	return h ? h : 1;
}

static bool is_same(const struct rf_fold_what *a, const struct rf_fold_what *b)
{
	return a->verdict == b->verdict && a->ended == b->ended && a->target == b->target &&
	       a->writer == b->writer && a->has_target == b->has_target &&
	       a->has_writer == b->has_writer && !strcmp(a->kind, b->kind) &&
	       !strcmp(a->rule, b->rule) && !strcmp(a->detail, b->detail);
}

/* As much of it as there is room for; what is behind it is there already: zeroes. */
static void put_text(char *to, size_t room, const char *text)
{
	memcpy(to, text, strnlen(text, room - 1));
}

static bool ends(const struct rf_record *r)
{
	return r->answer && r->answer->verdict == RF_ANSWERED_KILL;
}

static struct rf_fold_what class_of(const struct rf_record *r)
{
	struct rf_fold_what w = { .verdict = r->verdict, .is_class = 1, .ended = ends(r) };

	put_text(w.kind, sizeof(w.kind), r->kind);
	put_text(w.rule, sizeof(w.rule), r->rule ? r->rule : "");
	return w;
}

/* Its target is a value, and its writer often one function for all registers. */
static bool is_register(const struct rf_record *r)
{
	return !strcmp(r->kind, "msr") || !strcmp(r->kind, "control-register") ||
	       !strcmp(r->kind, "table");
}

static struct rf_fold_what key_of(const struct rf_record *r)
{
	struct rf_fold_what w = class_of(r);

	w.is_class = 0;
	w.has_target = r->has_target;
	w.has_writer = r->has_writer;
	w.target = r->has_target ? r->target.addr : r->gpa;
	w.writer = r->has_writer ? r->writer.addr : 0;
	if (r->detail && is_register(r))
		put_text(w.detail, sizeof(w.detail), r->detail);
	return w;
}

static struct rf_fold_slot *find(struct rf_fold *f, uint32_t from, uint32_t to,
				 const struct rf_fold_what *w, uint64_t hash)
{
	for (uint32_t i = from; i < to; i++)
		if (f->slots[i].hash == hash && is_same(&f->slots[i].what, w))
			return &f->slots[i];
	return NULL;
}

static bool is_empty(const struct rf_fold_count *n)
{
	return !n->count && !n->failed;
}

/* The free one, or that which is longest out of use and has nothing that is in no line; or NULL. */
static struct rf_fold_slot *replaceable(struct rf_fold *f, uint32_t from, uint32_t to)
{
	struct rf_fold_slot *best = NULL;

	for (uint32_t i = from; i < to; i++) {
		struct rf_fold_slot *s = &f->slots[i];

		if (!s->hash)
			return s;
		if (is_empty(&s->n) && (!best || s->used_ns < best->used_ns))
			best = s;
	}
	return best;
}

static void take(struct rf_fold_slot *s, const struct rf_fold_what *w, uint64_t hash)
{
	s->hash = 0;
	in_order();
	*s = (struct rf_fold_slot){ .what = *w };
	in_order();
	s->hash = hash;
}

/* A class is never replaced: the sums of a gap are by class. */
static struct rf_fold_slot *class_slot(struct rf_fold *f, const struct rf_record *r)
{
	const struct rf_fold_what w = class_of(r);
	uint64_t hash = hash_of(&w);
	struct rf_fold_slot *s = find(f, RF_FOLD_KEYS, OTHERS, &w, hash);

	for (uint32_t i = RF_FOLD_KEYS; !s && i < OTHERS; i++)
		if (!f->slots[i].hash) {
			s = &f->slots[i];
			take(s, &w, hash);
		}
	return s ? s : &f->slots[OTHERS];
}

/* Is one more key told apart in this minute? */
static bool admit(struct rf_fold *f, struct rf_fold_slot *class, uint64_t minute)
{
	if (f->minute != minute) {
		f->minute = minute;
		f->active = 0;
	}
	if (class->minute != minute) {
		class->minute = minute;
		class->keys = 0;
	}
	if (class->keys >= RF_FOLD_CLASS_KEYS ||
	    (f->active >= RF_FOLD_MINUTE_KEYS && class->keys >= RF_FOLD_CLASS_KEYS_LEAST))
		return false;
	class->keys++;
	f->active++;
	return true;
}

/* The key's own place, or its class where it has none. */
static struct rf_fold_slot *find_place(struct rf_fold *f, const struct rf_fold_what *w,
				       uint64_t hash, struct rf_fold_slot *class, uint64_t now_ns)
{
	struct rf_fold_slot *s = find(f, 0, RF_FOLD_KEYS, w, hash);
	uint64_t minute = now_ns / MINUTE_NS + 1;

	if (s && s->minute == minute) {
		s->used_ns = now_ns;
		return s;
	}
	if (!admit(f, class, minute))
		return class;
	if (!s) {
		s = replaceable(f, 0, RF_FOLD_KEYS);
		if (!s)
			return class;
		take(s, w, hash);
	}
	s->minute = minute;
	s->used_ns = now_ns;
	return s;
}

/* The same. Who asks whether it is to be written, and counts it then, asks once. */
static struct rf_fold_slot *slot_of(struct rf_fold *f, const struct rf_record *r,
				    struct rf_fold_slot *class, uint64_t now_ns)
{
	const struct rf_fold_what w = key_of(r);
	struct rf_fold_slot *s = &f->slots[f->found];
	uint64_t hash = hash_of(&w);

	if (f->found_hash == hash && f->found_ns == now_ns && (s == class || is_same(&s->what, &w)))
		return s;
	s = find_place(f, &w, hash, class, now_ns);
	f->found = (uint32_t)(s - f->slots);
	f->found_hash = hash;
	f->found_ns = now_ns;
	return s;
}

/* --- in full, or counted --------------------------------------------------- */

bool rf_fold_is_decision(const struct rf_record *r)
{
	static const char *const kinds[] = {
		"write", "emulation", "delivery", "msr",    "control-register",
		"table", "dma",	      "patch",	  "endless"
	};

	if (!r->verdict || !r->kind || !r->rule || r->vcpu >= RF_FOLD_VCPUS || ends(r))
		return false;
	/* What lets another kernel take over is a matter of seals. */
	if (!strcmp(r->kind, "kexec"))
		return r->answer && r->answer->verdict == RF_ANSWERED_DENY;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(r->kind, kinds[i]))
			return true;
	return false;
}

bool rf_fold_is_end(const struct rf_record *r)
{
	return r->kind && r->vcpu < RF_FOLD_VCPUS && ends(r);
}

bool rf_fold_in_full(struct rf_fold *f, const struct rf_record *r, const struct rf_fold_time *now)
{
	struct rf_fold_slot *class = class_slot(f, r), *s = slot_of(f, r, class, now->mono_ns);
	uint64_t ns = now->mono_ns;
	bool owed = !class->line_ns || ns - class->line_ns >= RF_FOLD_CLASS_NS;

	if (!owed && (s == class || !has_room(s->lines, ns, RF_FOLD_SECOND, RF_FOLD_KEY_LINES) ||
		      !has_room(f->lines, ns, RF_FOLD_SECOND, RF_FOLD_LINES)))
		return false;
	if (s != class)
		use(&s->lines, ns, RF_FOLD_SECOND);
	use(&f->lines, ns, RF_FOLD_SECOND);
	class->line_ns = ns;
	return true;
}

/* Makes the step, or makes it once more. */
static void make_step(struct rf_fold *f)
{
	struct rf_fold_slot *s = &f->slots[f->step.slot];

	if (f->step.count + f->step.failed == 1)
		s->n.first = f->step.now;
	s->n.last = f->step.now;
	s->n.count = f->step.count;
	s->n.failed = f->step.failed;
	f->counted = f->step.counted;
	f->gap.decisions = f->step.gap;
	f->gap.by_class[f->step.of_class] = f->step.gap_class;
	if (f->step.event)
		f->asked[f->step.vcpu].event = f->step.event;
	if (f->step.event && f->vcpus <= f->step.vcpu)
		f->vcpus = f->step.vcpu + 1;
	in_order();
	f->step.state = RF_FOLD_NONE;
}

/* A step that changes nothing but what its caller adds. */
static void prepare_step(struct rf_fold *f, uint32_t slot, uint32_t of_class,
			 const struct rf_fold_time *now)
{
	f->step.slot = slot;
	f->step.of_class = of_class;
	f->step.event = 0;
	f->step.count = f->slots[slot].n.count;
	f->step.failed = f->slots[slot].n.failed;
	f->step.counted = f->counted;
	f->step.gap = f->gap.decisions;
	f->step.gap_class = f->gap.by_class[of_class];
	f->step.now = *now;
}

static void take_step(struct rf_fold *f)
{
	in_order();
	f->step.state = RF_FOLD_TAKEN;
	in_order();
	make_step(f);
}

void rf_fold_count(struct rf_fold *f, const struct rf_record *r, const struct rf_fold_time *now)
{
	struct rf_fold_slot *class = class_slot(f, r), *s = slot_of(f, r, class, now->mono_ns);
	struct rf_fold_asked *asked = &f->asked[r->vcpu % RF_FOLD_VCPUS];

	prepare_step(f, (uint32_t)(s - f->slots), (uint32_t)(class - f->slots) - RF_FOLD_KEYS, now);
	f->step.vcpu = r->vcpu % RF_FOLD_VCPUS;
	f->step.event = r->answer ? r->event : 0;
	f->step.count++;
	f->step.counted++;
	f->step.gap += !!f->gap.error;
	f->step.gap_class += !!f->gap.error;
	if (f->step.event) {
		asked->event = 0;
		in_order();
		asked->word = r->verdict;
		memset(asked->rule, 0, sizeof(asked->rule));
		put_text(asked->rule, sizeof(asked->rule), r->rule ? r->rule : "");
		asked->answer = *r->answer;
		asked->slot = f->step.slot;
		asked->of_class = f->step.of_class;
		asked->hash = s->hash;
	}
	take_step(f);
}

bool rf_fold_decision(const struct rf_fold *f, uint32_t vcpu, uint64_t event,
		      struct rf_audit_decision *out)
{
	const struct rf_fold_asked *asked = &f->asked[vcpu % RF_FOLD_VCPUS];

	if (!event || asked->event != event)
		return false;
	*out = (struct rf_audit_decision){
		.event = event, .word = asked->word, .exact = true, .answer = asked->answer
	};
	memcpy(out->rule, asked->rule, sizeof(out->rule));
	return true;
}

static const struct rf_fold_asked *asked_about(const struct rf_fold *f, uint64_t event)
{
	for (uint32_t i = 0; i < f->vcpus; i++)
		if (event && f->asked[i].event == event)
			return &f->asked[i];
	return NULL;
}

bool rf_fold_has_event(const struct rf_fold *f, uint64_t event)
{
	return asked_about(f, event);
}

void rf_fold_failed(struct rf_fold *f, uint64_t event, const struct rf_fold_time *now)
{
	const struct rf_fold_asked *a = asked_about(f, event);
	uint32_t slot;

	if (!a)
		return;
	/* All that was counted there is in lines, and another key has its place. */
	slot = f->slots[a->slot].hash == a->hash ? a->slot : RF_FOLD_KEYS + a->of_class;
	prepare_step(f, slot, a->of_class, now);
	f->step.failed++;
	take_step(f);
}

/* --- lines ----------------------------------------------------------------- */

/* What the line has is in its source no more. */
static void empty_source(struct rf_fold *f)
{
	if (f->line.from == RF_FOLD_FROM_GAP)
		f->gap = (struct rf_fold_gap){ .error = f->gap.error, .since = f->gap.since };
	else
		f->slots[f->line.from].n = (struct rf_fold_count){ 0 };
	in_order();
	f->line.state = RF_FOLD_TAKEN;
}

static void begin_line(struct rf_fold *f, uint32_t from)
{
	f->line.from = from;
	f->line.number = ++f->numbers;
}

/* What it says is what it says at each try: it may stand there without our knowing. */
static const struct rf_fold_line *take_line(struct rf_fold *f)
{
	in_order();
	f->line.state = RF_FOLD_TAKING;
	in_order();
	empty_source(f);
	return &f->line;
}

const struct rf_fold_line *rf_fold_next(struct rf_fold *f, const struct rf_fold_time *now, bool all)
{
	const struct rf_fold_slot *oldest = NULL;

	if (f->line.state == RF_FOLD_TAKEN)
		return &f->line;
	if (f->gap.error) {
		begin_line(f, RF_FOLD_FROM_GAP);
		f->line.gap = f->gap;
		return take_line(f);
	}
	for (uint32_t i = 0; i < RF_FOLD_SLOTS; i++) {
		const struct rf_fold_slot *s = &f->slots[i];

		if (!is_empty(&s->n) && (!oldest || s->n.first.mono_ns < oldest->n.first.mono_ns))
			oldest = s;
	}
	if (!oldest ||
	    (!all && (now->mono_ns - oldest->n.first.mono_ns < RF_FOLD_DUE_NS ||
		      !has_room(f->folds, now->mono_ns, RF_FOLD_SECOND / 2, RF_FOLD_FOLDS))))
		return NULL;
	use(&f->folds, now->mono_ns, RF_FOLD_SECOND / 2);
	begin_line(f, (uint32_t)(oldest - f->slots));
	f->line.what = oldest->what;
	f->line.n = oldest->n;
	return take_line(f);
}

/* The gap goes on while anything of it is in no line. */
static bool is_told(const struct rf_fold_gap *gap)
{
	return !gap->decisions && !gap->lines;
}

void rf_fold_written(struct rf_fold *f)
{
	if (f->line.state && f->line.from == RF_FOLD_FROM_GAP && is_told(&f->gap))
		f->gap.error = 0;
	in_order();
	f->line.state = RF_FOLD_NONE;
}

uint64_t rf_fold_pending(const struct rf_fold *f)
{
	uint64_t sum = f->line.state && f->line.from != RF_FOLD_FROM_GAP ? f->line.n.count : 0;

	for (uint32_t i = 0; i < RF_FOLD_SLOTS; i++)
		sum += f->slots[i].n.count;
	return sum;
}

bool rf_fold_waits(const struct rf_fold *f)
{
	bool waits = f->gap.error || f->line.state;

	for (uint32_t i = 0; i < RF_FOLD_SLOTS; i++)
		waits |= !is_empty(&f->slots[i].n);
	return waits;
}

void rf_fold_gap_sums(const struct rf_fold *f, uint64_t *decisions, uint64_t *lines)
{
	bool taken = f->line.state == RF_FOLD_TAKEN && f->line.from == RF_FOLD_FROM_GAP;

	*decisions = f->gap.decisions + (taken ? f->line.gap.decisions : 0);
	*lines = f->gap.lines + (taken ? f->line.gap.lines : 0);
}

void rf_fold_gap_begin(struct rf_fold *f, int error, const struct rf_fold_time *now)
{
	if (f->gap.error || !error)
		return;
	f->gap = (struct rf_fold_gap){ .since = *now };
	in_order();
	f->gap.error = error;
}

void rf_fold_gap_missed(struct rf_fold *f)
{
	f->gap.lines++;
}

/* --- another monitor's ------------------------------------------------------ */

void rf_fold_init(struct rf_fold *f, uint64_t instance)
{
	struct rf_fold_what others = { .kind = "other", .rule = "other", .is_class = 1 };

	memset(f, 0, sizeof(*f));
	f->size = sizeof(*f);
	f->instance = instance;
	f->slots[OTHERS].what = others;
	f->slots[OTHERS].hash = hash_of(&others);
	in_order();
	f->magic = MAGIC;
}

/* As all names of kinds and rules are. */
static bool is_text(const char *text, size_t room)
{
	size_t len = strnlen(text, room);

	return len < room && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static bool is_sound(const struct rf_fold_what *w)
{
	return is_text(w->kind, sizeof(w->kind)) && is_text(w->rule, sizeof(w->rule)) &&
	       strnlen(w->detail, sizeof(w->detail)) < sizeof(w->detail) &&
	       w->verdict <= RF_WORD_DETECTED && w->is_class <= 1 && w->ended <= 1 &&
	       w->has_target <= 1 && w->has_writer <= 1;
}

static bool is_error(int32_t error)
{
	return error <= 0 && error > -4096;
}

/* Whoever wrote it is trusted with the counts, not with this process. */
static bool is_whole(const struct rf_fold *f)
{
	bool whole = f->size == sizeof(*f) && f->line.state <= RF_FOLD_TAKEN &&
		     f->line.from <= RF_FOLD_FROM_GAP && is_sound(&f->line.what) &&
		     f->step.state <= RF_FOLD_TAKEN && f->step.slot < RF_FOLD_SLOTS &&
		     f->step.of_class < RF_FOLD_CLASSES && f->step.vcpu < RF_FOLD_VCPUS &&
		     f->vcpus <= RF_FOLD_VCPUS && f->found < RF_FOLD_SLOTS &&
		     is_error(f->gap.error) && is_error(f->line.gap.error);

	for (uint32_t i = 0; whole && i < RF_FOLD_SLOTS; i++)
		whole = is_sound(&f->slots[i].what);
	for (uint32_t i = 0; whole && i < RF_FOLD_VCPUS; i++) {
		const struct rf_fold_asked *a = &f->asked[i];

		whole = !a->event ||
			(a->slot < RF_FOLD_SLOTS && a->of_class < RF_FOLD_CLASSES &&
			 is_text(a->rule, sizeof(a->rule)) && (!a->word || rf_word_text(a->word)) &&
			 rf_answered_text(a->answer.verdict));
	}
	return whole;
}

int rf_fold_adopt(struct rf_fold *f, uint64_t instance, uint64_t written)
{
	if (!f->magic) {
		rf_fold_init(f, instance);
		return 0;
	}
	if (f->magic != MAGIC || !is_whole(f))
		return -EBADMSG;
	if (f->step.state)
		make_step(f);
	if (f->line.state == RF_FOLD_TAKING)
		empty_source(f);
	if (f->line.state && f->line.number <= written)
		rf_fold_written(f);
	f->instance = instance;
	return 0;
}
