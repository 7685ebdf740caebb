// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/fake_recorders.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/unit/fake_disk.h"

#define SECOND UINT64_C(1000000000)

struct recorder *recorders;
char recorders_path[32];
struct rf_note_key recorders_key;

static uint64_t real_ns, mono_ns;

int clock_gettime(clockid_t clock, struct timespec *t)
{
	uint64_t ns = clock == CLOCK_REALTIME ? real_ns : mono_ns;

	*t = (struct timespec){ .tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND) };
	return 0;
}

void recorders_pass(uint64_t ns)
{
	real_ns += ns;
	mono_ns += ns;
}

void recorders_set_clock(uint64_t ns)
{
	real_ns = ns;
}

uint64_t recorders_mono_ns(void)
{
	return mono_ns;
}

/* --- fixtures ------------------------------------------------------------------ */

static int open_log(const char *path)
{
	int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

int recorders_setup(void **state)
{
	int fd;

	strcpy(recorders_path, "/tmp/rf-recorders-XXXXXX");
	fd = mkstemp(recorders_path);
	if (fd < 0 || sodium_init() < 0)
		return -1;
	real_ns = UINT64_C(1700000000) * SECOND;
	mono_ns = 1000 * SECOND;
	if (!recorders_key.signs)
		rf_note_key_generate("ringfence-audit", &recorders_key);
	recorders = mmap(NULL, RECORDERS * sizeof(*recorders), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (recorders == MAP_FAILED)
		return -1;
	for (unsigned int i = 0; i < RECORDERS; i++) {
		snprintf(recorders[i].name, sizeof(recorders[i].name), "vm%u", i);
		recorders[i].instance = 0x70 + i;
		recorders[i].path = recorders_path;
		rf_chain_init(&recorders[i].chain);
	}
	fake_disk_begin(fd);
	close(fd);
	return 0;
}

int recorders_teardown(void **state)
{
	for (unsigned int i = 0; i < RECORDERS; i++)
		recorder_drop(&recorders[i]);
	munmap(recorders, RECORDERS * sizeof(*recorders));
	fake_disk_end();
	unlink(recorders_path);
	return 0;
}

void recorders_log(const char *text, size_t len)
{
	int fd;

	unlink(recorders_path);
	fd = open(recorders_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && write(fd, text, len) == (ssize_t)len);
	close(fd);
}

/* --- monitors ------------------------------------------------------------------ */

void recorder_begin(struct recorder *r)
{
	const struct rf_audit_setup setup = {
		.vm = r->name, .instance = r->instance, .chain = &r->chain, .key = &recorders_key
	};

	int fd = open_log(r->path), err;

	recorder_drop(r);
	r->guest = (struct rf_guest){ .notify_fd = -1, .fold = &r->fold };
	rf_policy_default(&r->guest.policy);
	err = rf_audit_open_setup(fd, &setup, &r->guest.audit);
	if (err) /* it could not be flushed, and `run` tries another one */
		err = rf_audit_open_setup(fd, &setup, &r->guest.audit);
	assert_int_equal(err, 0);
	assert_int_equal(rf_record_begin(&r->guest, r->instance), 0);
	assert_ptr_equal(r->guest.fold, &r->fold);
}

void recorder_drop(struct recorder *r)
{
	rf_audit_close(r->guest.audit);
	r->guest.audit = NULL;
}

bool recorder_end(struct recorder *r)
{
	bool ended;

	rf_record_flush(&r->guest, true);
	ended = !rf_record_end(&r->guest) && !r->guest.fold->gap.error;
	recorder_drop(r);
	return ended;
}

struct rf_record recorder_denial(struct recorder *r, unsigned int place)
{
	static const char *const rules[] = { "rodata-is-never-written", "text-not-a-patch-site",
					     "idt-is-never-written" };
	static const struct rf_audit_answer denial = { .verdict = RF_ANSWERED_DENY };

	return (struct rf_record){ .event = ++r->events,
				   .vcpu = 1,
				   .kind = "write",
				   .region = "rodata",
				   .has_target = true,
				   .target = { .addr = RECORDER_PLACE(place) },
				   .has_writer = true,
				   .writer = { .addr = 0xffffffffc0001000 + place % 2,
					       .symbol = "evil" },
				   .len = 8,
				   .has_new = true,
				   .rule = rules[place % 3],
				   .verdict = RF_WORD_BLOCKED,
				   .outcome = "page fault",
				   .answer = &denial };
}

void recorder_deny(struct recorder *r, unsigned int place)
{
	const struct rf_record record = recorder_denial(r, place);

	assert_in_range(r->events, 1, RECORDER_ACKS - 1);
	if (rf_record_write(&r->guest, &record)) {
		r->refused++;
		return;
	}
	r->ack[r->acks++] =
		(struct recorder_ack){ .ops = fake_disk_ops(),
				       .event = r->events,
				       .counted = !rf_audit_has_event(r->guest.audit, r->events) };
}

void recorder_tick(struct recorder *r)
{
	rf_record_flush(&r->guest, false);
	rf_record_tick(&r->guest);
}

static unsigned int any(unsigned int *seed, unsigned int below)
{
	return (unsigned int)rand_r(seed) % below;
}

static void step(struct recorder *r, unsigned int *seed)
{
	unsigned int place = any(seed, 3);

	switch (any(seed, 8)) {
	case 0:
		rf_note(&r->guest, "seal", "sealed", NULL);
		break;
	case 1:
		rf_record_outcome(&r->guest, r->events, any(seed, 2) ? 0 : RF_NOT_NOW);
		break;
	case 2:
		recorder_begin(r);
		break;
	case 3:
	case 4:
		recorders_pass(any(seed, 12) * SECOND);
		recorder_tick(&recorders[0]);
		recorder_tick(&recorders[1]);
		break;
	default:
		for (unsigned int n = 1 + any(seed, 9); n; n--)
			recorder_deny(r, place);
	}
}

void recorders_work(unsigned int seed, unsigned int steps)
{
	recorder_begin(&recorders[0]);
	recorder_begin(&recorders[1]);
	while (steps--)
		step(&recorders[any(&seed, 2)], &seed);
}

/* --- what the log has ---------------------------------------------------------- */

static struct recorder *of_instance(uint64_t instance)
{
	for (unsigned int i = 0; i < RECORDERS; i++)
		if (recorders[i].instance == instance)
			return &recorders[i];
	return NULL;
}

static void take(struct recorded *of, uint64_t *highest, const json_t *o)
{
	const char *type = json_string_value(json_object_get(o, "type")) ?: "";
	json_int_t event = json_integer_value(json_object_get(o, "event"));
	uint64_t number = (uint64_t)json_integer_value(json_object_get(o, "number"));

	if (!strcmp(type, "decision") && event > 0) {
		of->full++;
		if (event < RECORDER_ACKS)
			of->event[event] = true;
	}
	if (number <= *highest)
		return;
	*highest = number;
	of->counted += (uint64_t)json_integer_value(json_object_get(o, "count"));
	of->said_unwritten += (uint64_t)json_integer_value(json_object_get(o, "decisions"));
}

static void keep(void *ctx, const struct rf_finding *f)
{
	struct recorded_log *log = ctx;
	const struct recorder *r = of_instance(f->instance);

	log->found[f->kind]++;
	if (r && f->kind == RF_FOUND_OPEN_END)
		log->of[r - recorders].open_end = true;
}

static void take_line(struct recorded_log *log, uint64_t highest[RECORDERS], const char *line,
		      size_t len)
{
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	struct recorder *r;
	uint64_t instance;

	r = rf_chain_address(o, "instance", &instance) ? of_instance(instance) : NULL;
	if (r)
		take(&log->of[r - recorders], &highest[r - recorders], o);
	json_decref(o);
}

char *recorders_bytes(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;

	assert_true(fd >= 0 && !fstat(fd, &st));
	*len = (size_t)st.st_size;
	text = malloc(*len + 1);
	assert_true(text && read(fd, text, *len) == (ssize_t)*len);
	close(fd);
	return text;
}

struct recorded_log recorders_read(bool with_key)
{
	struct recorded_log log = { 0 };
	uint64_t highest[RECORDERS] = { 0 }, number = 0;
	struct rf_verify *v = rf_verify_create(keep, &log);
	size_t len;
	char *text = recorders_bytes(recorders_path, &len);

	rf_verify_trust(v, with_key ? &recorders_key : NULL);
	for (size_t at = 0; at < len;) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t n = end ? (size_t)(end - (text + at)) : len - at;

		take_line(&log, highest, text + at, n);
		assert_int_equal(rf_verify_line(v, 0, ++number, text + at, n, end != NULL), 0);
		at += n + 1;
	}
	log.verdict = rf_verify_finish(v);
	for (size_t i = 0; i < rf_verify_count(v); i++) {
		const struct rf_verified *is = rf_verify_instance(v, i);
		struct recorder *r = of_instance(is->instance);

		assert_non_null(r);
		log.of[r - recorders].last = is->last;
		log.of[r - recorders].ended = is->ended;
		log.of[r - recorders].verdict = is->verdict;
	}
	rf_verify_destroy(v);
	free(text);
	return log;
}
