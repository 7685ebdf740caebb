// SPDX-License-Identifier: LGPL-2.1-or-later
/* The fence, the fixtures and the log; the kernel is in fake_monitor_kernel.c. */
#include "tests/unit/fake_monitor.h"
#include "monitor/sandbox.h"
#include "tests/unit/log_open.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fake fake;
struct rf_guest guest;

/* --- the fence --- */

static int fence_info(struct rf_backend *b, struct rf_backend_info *out)
{
	if (!fake.info_err)
		*out = fake.info;
	return fake.info_err;
}

static int copy(const uint8_t *from, rf_gpa gpa, void *buf, size_t len)
{
	if (fake.read_err || !rf_within(gpa.v, len, IMAGE_GPA, RAM_SIZE) ||
	    (fake.unreadable && rf_within(fake.unreadable, 1, gpa.v, len)))
		return -EFAULT;
	memcpy(buf, from + (gpa.v - IMAGE_GPA), len);
	return 0;
}

static int fence_read(struct rf_backend *b, rf_gpa gpa, void *buf, size_t len)
{
	return copy(fake.ram, gpa, buf, len);
}

static int fence_read_decoy(struct rf_backend *b, rf_gpa gpa, void *buf, size_t len)
{
	fake.decoy_reads++;
	if (fake.on_decoy)
		fake.on_decoy();
	return fake.info.state == RF_VM_SEALED ? copy(fake.decoy, gpa, buf, len) : -ENOENT;
}

static int fence_ram(struct rf_backend *b, struct rf_ram out[RF_RAM_MAX])
{
	out[0] = (struct rf_ram){ IMAGE_GPA, RAM_SIZE };
	return fake.ram_err ? fake.ram_err : 1;
}

static int fence_watch(struct rf_backend *b, const struct rf_msg_watch *m)
{
	fake.watches++;
	fake.watch = *m;
	if (fake.watch_err)
		return fake.watch_err;
	if (m->kernel != fake.posted)
		return -ESTALE;
	if (fake.info.state == RF_VM_SEALED)
		return -EBUSY;
	if (fake.state_runs)
		return -EALREADY;
	fake.info.state = RF_VM_WATCHED;
	return 0;
}

static int fence_seal(struct rf_backend *b, const struct rf_msg_seal *m, uint64_t *ns)
{
	fake.seals++;
	fake.seal = *m;
	if (fake.seal_err)
		return fake.seal_err;
	if (m->kernel != fake.posted)
		return -ESTALE;
	if (fake.info.state == RF_VM_SEALED)
		return -EALREADY;
	/* hv/life.c seal_rule() */
	if (m->how == RF_SEAL_NOW && fake.kept)
		return -EEXIST;
	if (m->how == RF_SEAL_KEPT && !fake.kept)
		return -ENOENT;
	if (m->how == RF_SEAL_KEPT && fake.info.kept_entry != fake.posted_lstar)
		return -EPERM;
	for (uint32_t i = 0; m->how == RF_SEAL_KEPT && i < fake.kept_seal.count; i++) {
		uint64_t at = fake.kept_seal.regions[i].gpa - IMAGE_GPA;

		memcpy(fake.ram + at, fake.kept_ram + at, fake.kept_seal.regions[i].size);
	}
	fake.kept = false;
	fake.info.kept_entry = 0;
	fake.info.state = RF_VM_SEALED;
	fake.info.image = m->image;
	fake.info.regions_count = m->count;
	memcpy(fake.info.regions, m->regions, sizeof(m->regions));
	*ns = 1;
	return 0;
}

static int fence_pin(struct rf_backend *b, const struct rf_msg_pin *m)
{
	fake.pins++;
	fake.pin = *m;
	return fake.pin_err;
}

static int fence_traps(struct rf_backend *b, const struct rf_msg_traps *m)
{
	fake.traps++;
	fake.trapped = *m;
	if (fake.traps_err)
		return fake.traps_err;
	if (m->kernel != fake.posted)
		return -ESTALE;
	for (uint32_t i = 0; i < m->count; i++) {
		uint8_t *code = fake.ram + (m->sites[i].gpa - IMAGE_GPA);

		for (int n = 0; n < m->sites[i].len; n++)
			code[n] = RF_TRAP_BYTE(n);
	}
	fake.info.traps_count = m->count;
	memcpy(fake.info.traps, m->sites, sizeof(m->sites));
	memcpy(fake.info.traps_note, m->note, sizeof(m->note));
	return 0;
}

static int fence_mend(struct rf_backend *b, const struct rf_msg_mend *m)
{
	uint64_t now;

	fake.mends++;
	if (fake.mend_err || m->kernel != fake.posted)
		return fake.mend_err ? fake.mend_err : -ESTALE;
	memcpy(&now, fake.ram + (m->gpa - IMAGE_GPA), sizeof(now));
	assert_int_equal(now, m->from);
	memcpy(fake.ram + (m->gpa - IMAGE_GPA), &m->to, sizeof(m->to));
	return 0;
}

/* What the guest itself has there: not the traps. */
static void own(uint64_t gpa, uint8_t *page)
{
	memcpy(page, fake.ram + (gpa - IMAGE_GPA), RF_PAGE_SIZE);
	for (uint32_t i = 0; i < fake.info.traps_count; i++) {
		const struct rf_trap_site *s = &fake.info.traps[i];

		for (uint32_t b = 0; b < s->len; b++)
			if (rf_within(s->gpa + b, 1, gpa, RF_PAGE_SIZE))
				page[s->gpa + b - gpa] = s->bytes[b];
	}
}

static void heal_page(uint64_t gpa)
{
	uint8_t *decoy = fake.decoy + (gpa - IMAGE_GPA), page[RF_PAGE_SIZE];
	struct rf_heal *h = &fake.heals[fake.heals_head % RF_HEALS];
	uint32_t first = 0, last = RF_PAGE_SIZE;

	own(gpa, page);
	while (first < RF_PAGE_SIZE && page[first] == decoy[first])
		first++;
	if (first == RF_PAGE_SIZE)
		return;
	while (page[last - 1] == decoy[last - 1])
		last--;
	*h = (struct rf_heal){ .gpa = gpa + first, .len = last - first };
	for (uint32_t i = 0; i < h->len && i < RF_HEAL_BYTES; i++) {
		h->own[i] = page[first + i];
		h->foreign[i] = decoy[first + i];
	}
	memcpy(decoy, page, RF_PAGE_SIZE);
	fake.heals_head++;
}

static int fence_heal(struct rf_backend *b, const struct rf_msg_heal *m)
{
	fake.heal = *m;
	if (fake.heal_err)
		return fake.heal_err;
	assert_true(m->taken <= fake.heals_head);
	if (m->taken > fake.info.heals_taken)
		fake.info.heals_taken = m->taken;
	if (!m->len)
		return 0;
	fake.heals_asked++;
	if (m->kernel != fake.posted || fake.info.state != RF_VM_SEALED)
		return -ESTALE;
	assert_true(rf_within(m->gpa, m->len, IMAGE_GPA, RAM_SIZE));
	for (uint64_t page = rf_page_down(m->gpa); page < m->gpa + m->len; page += RF_PAGE_SIZE)
		heal_page(page);
	return 0;
}

static size_t fence_heals(struct rf_backend *b, uint64_t *from, struct rf_heal *out, size_t max)
{
	size_t n = 0;

	fake.heals_head += fake.heals_on;
	if (fake.heals_head - *from > RF_HEALS)
		*from = fake.heals_head - RF_HEALS;
	for (; *from < fake.heals_head && n < max; ++*from)
		out[n++] = fake.heals[*from % RF_HEALS];
	return n;
}

static int fence_verdict(struct rf_backend *b, struct rf_msg_verdict *m)
{
	if (fake.verdict_err)
		return fake.verdict_err;
	fake.verdict[fake.verdicts++ % LOG_MAX] = *m;
	return 0;
}

static struct rf_patch_table *fence_table(struct rf_backend *b)
{
	return &fake.table;
}

static size_t fence_entries(struct rf_backend *b, uint64_t from, struct rf_patch_entry *out,
			    size_t max)
{
	size_t n = 0;

	for (; from < fake.patching.head && n < max; from++)
		out[n++] = fake.entries[from];
	/* While these are read the guest makes another one. */
	if (fake.patches_on &&
	    fake.patching.head < sizeof(fake.entries) / sizeof(fake.entries[0])) {
		fake.entries[fake.patching.head] = fake.entries[0];
		fake.patching.head++;
	}
	return n;
}

static void fence_trail(struct rf_backend *b, struct rf_patching *out)
{
	*out = fake.patching;
}

static int fence_restore(struct rf_backend *b, const struct rf_msg_restore *m)
{
	fake.restored++;
	fake.restore = *m;
	return fake.restore_err;
}

static void fence_share(struct rf_backend *b, int fds[RF_SHARED])
{
	for (int i = 0; i < RF_SHARED; i++)
		fds[i] = fake.log_fd;
}

static const struct rf_backend_ops fence_ops = {
	.name = "fake",
	.info = fence_info,
	.read = fence_read,
	.read_decoy = fence_read_decoy,
	.ram = fence_ram,
	.watch = fence_watch,
	.seal = fence_seal,
	.pin = fence_pin,
	.traps = fence_traps,
	.mend = fence_mend,
	.heal = fence_heal,
	.heals = fence_heals,
	.verdict = fence_verdict,
	.table = fence_table,
	.entries = fence_entries,
	.trail = fence_trail,
	.restore = fence_restore,
	.share = fence_share,
};

/* What a sweeper is given: it sees the same, and can do nothing. */
static const struct rf_backend_ops view_ops = {
	.name = "fake, for reading",
	.info = fence_info,
	.read = fence_read,
	.read_decoy = fence_read_decoy,
	.ram = fence_ram,
	.table = fence_table,
	.trail = fence_trail,
};

int rf_backend_kvm_view(const int fds[RF_SHARED], struct rf_backend **out)
{
	static struct rf_backend view = { &view_ops };

	for (int i = 0; i < RF_SHARED; i++)
		assert_int_equal(close(fds[i]), 0);
	fake.views++;
	*out = &view;
	return 0;
}

int rf_sandbox_attached(int control_fd, bool is_monitor)
{
	fake.confined++;
	return 0;
}

/* --- events --- */

struct rf_msg_event fake_event(enum rf_event_kind kind)
{
	struct rf_msg_event ev = { .id = fake.info.next_event++, .kind = kind, .vcpu = 1 };

	rf_msg_init(&ev.h, RF_MSG_EVENT, 0);
	for (int i = 0; i < 16; i++)
		ev.regs.gpr[i] = 0x1000u + (unsigned int)i;
	ev.regs.rip = IMAGE_GVA + 0x2004;
	ev.regs.rflags = 0x246;
	ev.regs.cr3 = CR3;
	if (kind == RF_EVENT_KERNEL)
		fake.posted = ev.id;
	return ev;
}

struct rf_msg_event fake_kernel_event(uint64_t lstar)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_KERNEL);

	ev.msr.index = 0xc0000082;
	ev.msr.value = fake.posted_lstar = lstar;
	return ev;
}

struct rf_msg_event fake_write_event(uint64_t gpa, const void *bytes, uint32_t len)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_WRITE);

	ev.write.gpa = gpa;
	ev.write.len = len;
	ev.write.rip_after = 1;
	memcpy(ev.write.bytes, bytes, len);
	return ev;
}

const struct rf_msg_verdict *fake_verdict(void)
{
	assert_true(fake.verdicts);
	return &fake.verdict[(fake.verdicts - 1) % LOG_MAX];
}

struct rf_msg_verdict fake_answer(const struct rf_msg_event *ev)
{
	unsigned int before = fake.verdicts;

	assert_int_equal(rf_guest_event(&guest, ev), 0);
	assert_int_equal(fake.verdicts, before + 1);
	return *fake_verdict();
}

void fake_table_store(void)
{
	fake.store = (struct rf_store){ .rip = rf_gva_of(IMAGE_GVA + 0x2002),
					.size = 1,
					.operand = rf_gva_of(TABLE_GVA),
					.target = rf_gva_of(TABLE_GVA) };
	fake.store.before.gpr[3] = 0x33;
}

struct rf_fold fake_fold;

int fake_folding(void **state)
{
	int err = fake_setup(state);

	if (err)
		return err;
	memset(&fake_fold, 0, sizeof(fake_fold));
	guest.fold = &fake_fold;
	if (rf_record_begin(&guest, 7))
		return -1;
	fake_sealed();
	fake_table_store();
	return 0;
}

uint32_t fake_judge(const struct rf_msg_event *ev)
{
	unsigned int before = fake.verdicts;
	uint32_t verdict;

	assert_int_equal(rf_guest_event(&guest, ev), 0);
	if (fake.verdicts == before)
		return 0;
	assert_int_equal(fake.verdicts, before + 1);
	assert_int_equal(fake_verdict()->id, ev->id);
	verdict = fake_verdict()->verdict;
	if (ev->kind == RF_EVENT_KERNEL && verdict == RF_VERDICT_ALLOW) {
		fake.info.kernel = ev->id;
		fake.info.lstar = ev->msr.value;
		fake.info.cr3 = ev->regs.cr3;
		fake.info.cr4 = ev->regs.cr4;
		if (fake.info.state == RF_VM_BOOTING)
			fake.info.state = RF_VM_FOUND;
	}
	/* What the VMM loaded does not run. */
	if (ev->kind == RF_EVENT_KERNEL && verdict == RF_VERDICT_DENY && fake.state_runs &&
	    !fake.info.kernel)
		fake.info.state = RF_VM_HALTED;
	return verdict;
}

void fake_reset(void)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_RESET);

	ev.life.cause = RF_CAUSE_RESET;
	if (fake.info.state == RF_VM_SEALED) {
		fake.kept = true;
		fake.kept_seal = fake.seal;
		memcpy(fake.kept_ram, fake.ram, sizeof(fake.ram));
		fake.info.kept_entry = fake.info.lstar;
		memcpy(fake.info.kept_note, fake.watch.note, sizeof(fake.watch.note));
	}
	fake.info.state = RF_VM_BOOTING;
	fake.info.kernel = fake.info.lstar = fake.posted = 0;
	fake.info.regions_count = fake.info.traps_count = 0;
	assert_int_equal(fake_judge(&ev), 0);
}

void fake_sealed(void)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	ev = fake_event(RF_EVENT_WATCH);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.info.state, RF_VM_SEALED);
	fake_notified();
}

/* --- fixtures --- */

static void attach(void)
{
	memset(&guest, 0, sizeof(guest));
	guest.hv = &fake.hv;
	rf_unit_memory(&guest);
	rf_unit_begin(&guest, &rf_unit_kernel); /* for what is called outside of any */
	guest.notify_fd = fake.notify[1];
	rf_policy_default(&guest.policy);
	guest.policy.pin_tables = fake.has_tables;
	fake.log_fd = open(fake.log_path, O_RDWR | O_APPEND | O_CLOEXEC);
	if (log_open_fd(fake.log_fd, "vm", 7, &guest.audit))
		abort();
	guest.table = &fake.table;
	if (rf_patchlog_open_fd(
		    open(fake.patches_path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600), 7,
		    &guest.patchlog))
		abort();
}

static void detach(void)
{
	rf_guest_forget(&guest);
	rf_audit_close(guest.audit);
	rf_patchlog_close(guest.patchlog);
}

void fake_new_monitor(void)
{
	detach();
	assert_int_equal(fake.kernels, 0);
	assert_int_equal(fake.tables, 0);
	attach();
}

/* Made once: a fuzz target has thousands of guests a minute. */
static void fill_ram(void)
{
	static uint8_t bytes[RAM_SIZE];
	static bool made;

	for (size_t i = 0; i < RAM_SIZE && !made; i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 12));
	made = true;
	memcpy(fake.ram, bytes, RAM_SIZE);
	memcpy(fake.decoy, bytes, RAM_SIZE);
}

int fake_setup(void **state)
{
	int fd;

	signal(SIGPIPE, SIG_IGN);
	memset(&fake, 0, sizeof(fake));
	fake.hv.ops = &fence_ops;
	fake.info.next_event = 5;
	fake.info.cr_watch = true;
	fake.saved_fd = -1;
	fake.task = true;
	fill_ram();
	fake_map_kernel();
	strcpy(fake.log_path, "/tmp/rf-monitor-XXXXXX");
	fd = mkstemp(fake.log_path);
	if (sodium_init() < 0 || fd < 0 || pipe2(fake.notify, O_NONBLOCK | O_CLOEXEC))
		return -1;
	close(fd);
	snprintf(fake.patches_path, sizeof(fake.patches_path), "%s.p", fake.log_path);
	fake.patching.last_tail = UINT32_MAX;
	attach();
	return 0;
}

int fake_teardown(void **state)
{
	fake_log_room();
	detach();
	close(fake.notify[0]);
	close(fake.notify[1]);
	unlink(fake.log_path);
	unlink(fake.patches_path);
	return fake.kernels || fake.tables ? -1 : 0;
}

void fake_log_full(void)
{
	int full = open("/dev/full", O_RDWR | O_CLOEXEC);

	assert_true(full >= 0);
	fake.saved_fd = fcntl(fake.log_fd, F_DUPFD_CLOEXEC, 0);
	assert_int_equal(dup2(full, fake.log_fd), fake.log_fd);
	close(full);
}

void fake_log_room(void)
{
	if (fake.saved_fd < 0)
		return;
	dup2(fake.saved_fd, fake.log_fd);
	close(fake.saved_fd);
	fake.saved_fd = -1;
}

/* --- the log --- */

static json_t *lines;

static size_t load(void)
{
	int fd = open(fake.log_path, O_RDONLY | O_CLOEXEC);
	FILE *f = fdopen(fd, "r");
	char *text = NULL;
	size_t room = 0;
	ssize_t n;

	assert_non_null(f);
	json_decref(lines);
	lines = json_array();
	while ((n = getline(&text, &room, f)) > 0) {
		json_t *o = json_loadb(text, (size_t)n, JSON_DISABLE_EOF_CHECK, NULL);

		assert_non_null(o);
		json_array_append_new(lines, o);
	}
	free(text);
	fclose(f);
	return json_array_size(lines);
}

size_t fake_lines(void)
{
	size_t n = load();

	json_decref(lines);
	lines = NULL;
	return n;
}

json_t *fake_line(size_t from_end)
{
	size_t n = load();

	assert_true(from_end < n);
	return json_array_get(lines, n - 1 - from_end);
}

const char *fake_text(json_t *line, const char *member)
{
	const char *text = json_string_value(json_object_get(line, member));

	return text ? text : "";
}

size_t fake_count(const char *member, const char *text)
{
	size_t n = load(), found = 0;

	for (size_t i = 0; i < n; i++)
		found += !strcmp(fake_text(json_array_get(lines, i), member), text);
	return found;
}

const char *fake_notified(void)
{
	static char text[4096];
	ssize_t n = read(fake.notify[0], text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}
