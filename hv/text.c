// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Text patching settled in the VMM: a store that the monitor's table allows is applied, counted and
 * put on the trail with no round trip. What the table does not allow is the monitor's to judge. All
 * of it under rf_vm.lock, so that each store is judged against the text that the one before it
 * left.
 */
#include "hv/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "hv/vcpu.h"

#define SEQ_TRIES 8 /* the monitor's changes are short; then it may as well be asked */

static const struct rf_patch_table *table; /* NULL: none yet. The monitor changes it. */
static bool landed;			   /* a site has ended since the last one began */
static uint64_t changed_at_run;		   /* entries into the guest when text changed last */

static int read_text(void *ctx, uint32_t at, uint8_t *buf, uint32_t len)
{
	const struct rf_overlay *o = ctx;

	if (at > o->gpa.size || len > o->gpa.size - at)
		return -EFAULT;
	memcpy(buf, o->copy + at, len);
	rf_guestmem_show_own(o->gpa.start + at, buf, len);
	return 0;
}

/* The sealed text that holds all of the store, or NULL. */
struct rf_overlay *rf_text_at(uint64_t gpa, uint64_t len)
{
	struct rf_overlay *o = rf_guestmem_sealed(gpa, len);

	return o && o->region == RF_REGION_TEXT && o->gpa.size <= UINT32_MAX ? o : NULL;
}

/* The table of another kernel, or one that does not begin where text does, says nothing of these
 * bytes. */
static bool table_is_for(const struct rf_overlay *o)
{
	return table && table->magic == RF_TABLE_MAGIC && table->revision == RF_TABLE_REVISION &&
	       table->kernel && table->kernel == rf_board->kernel && table->base == o->gva;
}

static bool judge(struct rf_overlay *o, uint32_t at, const uint8_t *bytes, uint32_t len,
		  struct rf_patch_result *out)
{
	const struct rf_patch_text text = { read_text, o };

	if (!table)
		return false;
	for (int i = 0; i < SEQ_TRIES; i++) {
		uint32_t seq = __atomic_load_n(&table->seq, __ATOMIC_ACQUIRE);
		int err;

		if (seq & 1)
			continue;
		if (!table_is_for(o))
			return false;
		err = rf_patch_judge(table, &text, rf_board_trail()->last_tail, at, bytes, len,
				     out);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!err && __atomic_load_n(&table->seq, __ATOMIC_RELAXED) == seq)
			return out->verdict == RF_PATCH_STEP || out->verdict == RF_PATCH_DONE;
	}
	return false;
}

/* Yes where the kernel has no such word (patch/table.h); one that cannot be read says nothing for
 * the store. */
static bool patcher_is_busy(void)
{
	uint64_t gpa = table->busy;
	uint32_t busy;

	if (!gpa)
		return true;
	return !(gpa % sizeof(busy)) && !rf_guestmem_read(gpa, &busy, sizeof(busy)) && busy;
}

/* --- sites under way ------------------------------------------------------ */

static uint32_t flights_end; /* no site under way reaches beyond */

/*
 * A batch of the kernel's has 256 sites and is gone through three times in ascending order: a new
 * site lies behind the others, and the next one is the one behind the last one found, or, when the
 * first ones have landed, the last one (which land() puts in their places).
 */
static struct rf_flight *flight_at(uint32_t at, uint32_t len)
{
	static uint32_t next;
	struct rf_trail *t = rf_board_trail();
	uint32_t count = t->flights_count;

	for (uint32_t i = 0; at < flights_end && i <= count && count; i++) {
		uint32_t n = i ? (next + i - 1) % count : count - 1;
		struct rf_flight *f = &t->flights[n];

		if (at < f->at + f->len && f->at < at + len) {
			next = n + 1;
			return f;
		}
	}
	return NULL;
}

static void take_off(const struct rf_patch_result *r)
{
	static uint64_t number;
	struct rf_trail *t = rf_board_trail();
	struct rf_flight *f = &t->flights[t->flights_count];

	if (landed)
		__atomic_store_n(&t->batch, t->batch + 1, __ATOMIC_RELAXED);
	landed = false;
	if (!t->flights_count || flights_end < r->at + r->len)
		flights_end = r->at + r->len;
	*f = (struct rf_flight){ ++number, r->at, (uint8_t)r->kind, r->len, { 0 }, t->batch };
	memcpy(f->before, r->now, sizeof(f->before));
	__atomic_store_n(&t->flights_count, t->flights_count + 1, __ATOMIC_RELEASE);
}

static void land(struct rf_flight *f)
{
	struct rf_trail *t = rf_board_trail();

	landed = true;
	*f = t->flights[t->flights_count - 1];
	__atomic_store_n(&t->flights_count, t->flights_count - 1, __ATOMIC_RELEASE);
}

/* --- the trail ------------------------------------------------------------ */

static bool trail_full(void)
{
	uint64_t taken = __atomic_load_n(&table->taken, __ATOMIC_ACQUIRE),
		 head = rf_board_trail()->head;

	return taken > head || head - taken >= RF_TRAIL_ENTRIES;
}

static void leave_entry(const struct rf_vcpu *v, const struct rf_patch_result *r,
			const uint8_t *before)
{
	struct rf_trail *t = rf_board_trail();
	struct rf_patch_entry *e = &t->entries[t->head % RF_TRAIL_ENTRIES];

	*e = (struct rf_patch_entry){
		.ns = rf_clock_ns(
			CLOCK_REALTIME_COARSE), /* milliseconds do, and no clock is read */
		.at = r->at,
		.vcpu = (uint16_t)v->id,
		.kind = (uint8_t)r->kind,
		.len = r->len,
	};
	memcpy(e->before, before, r->len);
	memcpy(e->after, r->next, r->len);
	__atomic_fetch_add(&t->kinds[r->kind], 1, __ATOMIC_RELAXED);
	__atomic_store_n(&t->head, t->head + 1, __ATOMIC_RELEASE);
}

/* The store is legal: it lands, and the trail knows. */
static void commit(struct rf_vcpu *v, struct rf_overlay *o, const struct rf_patch_result *r,
		   const uint8_t *bytes, uint32_t len)
{
	struct rf_flight *f = flight_at(r->at, r->len);
	struct rf_trail *t = rf_board_trail();

	rf_overlay_write(o, r->at + r->offset, bytes, len);
	changed_at_run = rf_board->counters[RF_COUNT_RUN];
	if (memcmp(r->now, r->next, r->len))
		__atomic_store_n(&t->changes, t->changes + 1, __ATOMIC_RELAXED);
	if (r->verdict == RF_PATCH_STEP) {
		if (!f && r->resting)
			take_off(r);
		/* What changes nothing must not make a tail that is half written forgotten. */
		if (r->offset && r->now[0] == RF_INT3 && memcmp(r->now, r->next, r->len))
			t->last_tail = r->at;
		return;
	}
	if (t->last_tail == r->at)
		t->last_tail = UINT32_MAX;
	if (memcmp(f ? f->before : r->now, r->next, r->len))
		leave_entry(v, r, f ? f->before : r->now);
	if (f)
		land(f);
}

/*
 * Would the store write over a trap? Of all sites only a probe's lies where the guest says; the
 * others are the sealed tables'. A jump that would reach over one is thus never completed, and what
 * was written of it is put back with the store that is denied.
 */
static bool over_trap(const struct rf_patch_result *r, uint64_t gpa, uint32_t len)
{
	return (r->kind == RF_SITE_KPROBE || r->kind == RF_SITE_KGDB) &&
	       rf_guestmem_stands_in(gpa, len);
}

bool rf_text_settle(struct rf_vcpu *v, uint64_t gpa, const uint8_t *bytes, uint32_t len, bool told)
{
	struct rf_patch_result r;
	struct rf_overlay *o;

	RF_LOCKED();
	o = rf_text_at(gpa, len);
	if (!o || !judge(o, (uint32_t)(gpa - o->gpa.start), bytes, len, &r) ||
	    (!told && rf_patch_begins(&r) && !patcher_is_busy()) || over_trap(&r, gpa, len))
		return false;
	/* The monitor makes room on the trail when it is asked, and refuses to begin more sites. */
	if (trail_full() || (r.verdict == RF_PATCH_STEP && r.resting &&
			     rf_board_trail()->flights_count == RF_FLIGHTS))
		return false;
	commit(v, o, &r, bytes, len);
	return true;
}

/* --- put back ------------------------------------------------------------- */

/* The text that sites are under way in: the table is of one, and says so of no other. */
static struct rf_overlay *flown_over(void)
{
	RF_EACH_OVERLAY(&rf_guestmem, o)
		if (o->kind == RF_OVERLAY_SEAL && o->region == RF_REGION_TEXT)
			return o;
	return NULL;
}

/* The tail first: until the first byte is the old one again, who runs into the site takes #BP. */
static void put_back(struct rf_overlay *o, struct rf_flight *f)
{
	struct rf_trail *t = rf_board_trail();

	if (f->len > 1)
		rf_overlay_put_back(o, f->at + 1, f->before + 1, f->len - 1u);
	rf_overlay_put_back(o, f->at, f->before, 1);
	if (t->last_tail == f->at)
		t->last_tail = UINT32_MAX;
	land(f);
}

void rf_text_denied(uint64_t gpa, uint32_t len)
{
	struct rf_flight *f;
	struct rf_overlay *o;

	RF_LOCKED();
	o = rf_text_at(gpa, len);
	while (o && (f = flight_at((uint32_t)(gpa - o->gpa.start), len)))
		put_back(o, f);
}

int rf_text_restore(uint64_t flight)
{
	struct rf_trail *t = rf_board_trail();

	struct rf_overlay *o = flown_over();

	for (uint32_t n = 0; o && n < t->flights_count; n++) {
		if (t->flights[n].number != flight)
			continue;
		/* Nobody has run since text changed last: who patches could not go on. */
		if (rf_board->counters[RF_COUNT_RUN] == changed_at_run)
			return -EAGAIN;
		put_back(o, &t->flights[n]);
		return 0;
	}
	return -ENOENT;
}

/* --- adopted --------------------------------------------------------------- */

/* The site that holds `at` lies below the seal as the table may leave it: these bytes, read once,
 * as a device may be writing there. */
static bool at_rest_below(const struct rf_overlay *o, uint32_t at, struct rf_patch_site *site,
			  struct rf_shape *shape, uint8_t below[RF_SITE_MAX_LEN])
{
	return table_is_for(o) && rf_patch_find(table, at, site, shape) &&
	       !rf_guestmem_below(o, site->at, below, shape->len) &&
	       rf_patch_at_rest(table, site, shape, below);
}

/* False: nothing legal lies there. apply: what lies there is the site's from now on. */
static bool adopt_site(struct rf_overlay *o, uint32_t at, bool apply, uint32_t *adopted)
{
	uint8_t below[RF_SITE_MAX_LEN];
	struct rf_patch_site site;
	struct rf_shape shape;

	if (!at_rest_below(o, at, &site, &shape, below) || site.flags & RF_SITE_FROZEN ||
	    rf_guestmem_stands_in(o->gpa.start + site.at, shape.len))
		return false;
	for (uint32_t i = 0; apply && i < shape.len; i++)
		*adopted += o->copy[site.at + i] != below[i];
	if (apply)
		rf_overlay_write(o, site.at, below, shape.len);
	return true;
}

static bool adopt_page(struct rf_overlay *o, uint64_t page, bool apply, uint32_t *adopted)
{
	uint8_t own[RF_PAGE_SIZE], below[RF_PAGE_SIZE];

	if (!rf_guestmem_differs(o, page, own, below))
		return true;
	for (uint32_t i = 0; i < RF_PAGE_SIZE; i++) {
		uint32_t at = (uint32_t)page + i;

		/* Its site has been adopted with an earlier byte. */
		if (own[i] == below[i] || (apply && o->copy[at] == below[i]))
			continue;
		if (o->region != RF_REGION_TEXT || !adopt_site(o, at, apply, adopted))
			return false;
	}
	return true;
}

static bool adopt_all(bool apply, uint32_t *adopted)
{
	RF_EACH_OVERLAY(&rf_guestmem, o)
		for (uint64_t page = 0; o->kind == RF_OVERLAY_SEAL && page < o->gpa.size;
		     page += RF_PAGE_SIZE)
			if (!adopt_page(o, page, apply, adopted))
				return false;
	return true;
}

/* What was half way here must not be so in what was loaded: nobody would put it back. */
static bool flights_landed(void)
{
	const struct rf_overlay *o = flown_over();
	struct rf_trail *t = rf_board_trail();
	uint8_t below[RF_SITE_MAX_LEN];
	struct rf_patch_site site;
	struct rf_shape shape;

	for (uint32_t n = 0; o && n < t->flights_count; n++)
		if (!at_rest_below(o, t->flights[n].at, &site, &shape, below))
			return false;
	return true;
}

int rf_text_adopt(uint32_t *adopted)
{
	*adopted = 0;
	/* Judged as it is adopted, too. What is legal of it stays then, and none runs. */
	if (!flights_landed() || !adopt_all(false, adopted) || !adopt_all(true, adopted))
		return -EPERM;
	rf_text_reset(); /* sites that were half way are as the loaded state has them */
	return 0;
}

/* --- set up --------------------------------------------------------------- */

int rf_text_use(int fd)
{
	const struct rf_patch_table *next;
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	/* A file that could still shrink would turn our reads into SIGBUS. */
	if (fstat(fd, &st) || st.st_size != (off_t)sizeof(*next) || seals < 0 ||
	    !(seals & F_SEAL_SHRINK))
		return -EBADMSG;
	next = rf_mmap(sizeof(*next), PROT_READ, MAP_SHARED, fd);
	if (next == MAP_FAILED)
		return -errno;
	RF_LOCKED();
	if (table)
		rf_munmap((void *)(uintptr_t)table, sizeof(*table));
	table = next;
	return 0;
}

void rf_text_put_back_all(void)
{
	struct rf_trail *t = rf_board_trail();

	struct rf_overlay *o = flown_over();

	while (o && t->flights_count)
		put_back(o, &t->flights[0]);
}

void rf_text_reset(void)
{
	rf_board_trail()->last_tail = UINT32_MAX;
	__atomic_store_n(&rf_board_trail()->flights_count, 0, __ATOMIC_RELEASE);
}
