// SPDX-License-Identifier: LGPL-2.1-or-later
/* Signed checkpoints: the Merkle tree against RFC 6962's vectors and its definition, notes against
 * C2SP's example, when the log's writer signs, and what nobody without the key can do. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <sodium.h>

#include "policy/audit.h"
#include "policy/chain.h"
#include "policy/checkpoint.h"
#include "policy/merkle.h"
#include "policy/note.h"
#include "tests/unit/fake_log.h"
#include "tests/unit/leave_out.h"
#include "tests/unit/log_open.h"

#define ONE UINT64_C(0x11)
#define TWO UINT64_C(0x22)

int fdatasync(int fd);
int fdatasync(int fd)
{
	return 0;
}

/* Time passes when a test says so. */
static uint64_t later_ns;

int clock_gettime(clockid_t clock, struct timespec *t)
{
	long r = syscall(SYS_clock_gettime, clock, t);

	if (clock == CLOCK_MONOTONIC)
		t->tv_sec += (time_t)(later_ns / 1000000000);
	return (int)r;
}

/* --- the tree ----------------------------------------------------------------- */

static void assert_root(const struct rf_merkle *m, const char *hex)
{
	uint8_t root[RF_MERKLE_BYTES];
	char text[65];

	rf_merkle_root(m, root);
	sodium_bin2hex(text, sizeof(text), root, sizeof(root));
	assert_string_equal(text, hex);
}

/* Leaves and roots of Certificate Transparency's own tests. */
static void rfc_6962(void **state)
{
	static const char *const leaves[] = {
		"",
		"00",
		"10",
		"2021",
		"3031",
		"40414243",
		"5051525354555657",
		"606162636465666768696a6b6c6d6e6f",
	};
	static const char *const roots[] = {
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	};
	struct rf_merkle m = { .size = 0 };

	assert_root(&m, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	for (size_t i = 0; i < 8; i++) {
		uint8_t leaf[16];
		size_t len;

		assert_int_equal(sodium_hex2bin(leaf, sizeof(leaf), leaves[i], strlen(leaves[i]),
						NULL, &len, NULL),
				 0);
		rf_merkle_add(&m, leaf, len);
		assert_int_equal(m.size, i + 1);
		assert_root(&m, roots[i]);
	}
}

/* MTH() as section 2.1 defines it, over leaves of one byte: their own number. */
static void definition(uint8_t first, size_t n, uint8_t out[32])
{
	uint8_t text[65] = { n > 1, first };
	size_t k = 1;

	if (n == 1) {
		crypto_hash_sha256(out, text, 2);
		return;
	}
	while (2 * k < n)
		k *= 2;
	definition(first, k, text + 1);
	definition((uint8_t)(first + k), n - k, text + 33);
	crypto_hash_sha256(out, text, sizeof(text));
}

static void as_defined(void **state)
{
	struct rf_merkle m = { .size = 0 };

	for (uint8_t i = 0; i < 130; i++) {
		uint8_t want[32], root[32];

		rf_merkle_add(&m, &i, 1);
		rf_merkle_root(&m, root);
		definition(0, i + 1u, want);
		assert_memory_equal(root, want, sizeof(root));
	}
}

/* It lies in memory that others have written: nothing is written beside it. */
static void any_size(void **state)
{
	struct {
		struct rf_merkle m;
		uint8_t beside[64];
	} all;

	memset(&all, 0xff, sizeof(all));
	rf_merkle_add(&all.m, "x", 1);
	assert_int_equal(all.m.size, 0);
	for (size_t i = 0; i < sizeof(all.beside); i++)
		assert_int_equal(all.beside[i], 0xff);
}

/* --- notes ---------------------------------------------------------------------- */

static const char example[] = "This is an example message.\n\n\xe2\x80\x94 example.com/foo "
			      "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6"
			      "TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
static const char example_key[] =
	"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

static int open_note(const struct rf_note_key *k, const char *note)
{
	size_t len;

	return rf_note_open(k, note, strlen(note), &len);
}

static void c2sp_example(void **state)
{
	struct rf_note_key k, other;
	char text[sizeof(example) + 200];
	size_t len;

	assert_int_equal(rf_note_public_parse(example_key, strlen(example_key), &k), 0);
	assert_false(k.signs);
	assert_int_equal(rf_note_open(&k, example, strlen(example), &len), 0);
	assert_int_equal(len, strlen("This is an example message.\n"));
	assert_int_equal(rf_note_open(NULL, example, strlen(example), &len), 0);
	rf_note_public_text(&k, text);
	assert_memory_equal(text, example_key, strlen(example_key));
	/* Each byte of it counts. */
	for (size_t i = 0; i + 1 < sizeof(example); i++) {
		memcpy(text, example, sizeof(example));
		text[i] ^= 1;
		assert_int_not_equal(rf_note_open(&k, text, strlen(example), &len), 0);
	}
	for (size_t i = 0; i + 1 < sizeof(example); i++)
		assert_int_not_equal(rf_note_open(&k, example, i, &len), 0);
	rf_note_key_generate("example.com/foo", &other);
	assert_int_equal(open_note(&other, example), -ENOKEY);
	/* Another signature of another key beside it does not matter; one that is none does. */
	snprintf(text, sizeof(text), "%s\xe2\x80\x94 other AAAAAAAA\n", example);
	assert_int_equal(open_note(&k, text), 0);
	snprintf(text, sizeof(text), "%sx\n", example);
	assert_int_equal(open_note(&k, text), -EBADMSG);
}

static void keys(void **state)
{
	static const char *const none[] = {
		"",
		"\n",
		"x",
		"a+b",
		"a+530d903a+",
		"a+530d903a\n",
		"a+530d903a+\n",
		"PRIVATE+KEY+",
		"PRIVATE+KEY+a+530d903a+\n",
		"+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/fo+530d903a+"
		"AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		"example.com/foo+530d903a+"
		"AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2kAA==",
		"example.com/foo+530d903a+"
		"AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
	};
	char secret[RF_NOTE_KEY_TEXT], public[RF_NOTE_KEY_TEXT], note[RF_NOTE_BYTES];
	struct rf_note_key k, again, only_public;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_int_equal(rf_note_public_parse(none[i], strlen(none[i]), &k), -EBADMSG);
		assert_int_equal(rf_note_secret_parse(none[i], strlen(none[i]), &k), -EBADMSG);
	}
	rf_note_key_generate("ringfence-audit", &k);
	rf_note_secret_text(&k, secret);
	rf_note_public_text(&k, public);
	assert_int_equal(rf_note_secret_parse(secret, strlen(secret), &again), 0);
	assert_int_equal(rf_note_public_parse(public, strlen(public), &only_public), 0);
	assert_int_equal(rf_note_secret_parse(public, strlen(public), &again), -EBADMSG);
	assert_int_equal(rf_note_public_parse(secret, strlen(secret), &again), -EBADMSG);
	assert_int_equal(rf_note_sign(&again, "one\ntwo\n", note), 0);
	assert_int_equal(open_note(&only_public, note), 0);
	strstr(note, "two")[0] = 'T';
	assert_int_equal(open_note(&only_public, note), -EKEYREJECTED);
}

/* --- a checkpoint ----------------------------------------------------------------- */

static struct rf_note_key key, public_key, foreign;

static void its_text(void **state)
{
	struct rf_checkpoint c = { .size = 12, .root = { 1, 2, 3 } }, again;
	char note[RF_NOTE_BYTES], text[RF_NOTE_BYTES];
	static const char *const broken[][2] = {
		{ "\n12\n", "\n012\n" },
		{ "\n12\n", "\n+12\n" },
		{ "\n12\n", "\n-12\n" },
		{ "\n12\n", "\n 12\n" },
		{ "\n12\n", "\n12 \n" },
		{ "\n12\n", "\n\n" },
		{ "\n12\n", "\n99999999999999999999\n" },
		{ "=\n\n", "=\nextension\n\n" },
		{ "=\n\n", "\n\n" },
		{ "AQID", "AQI" },
		{ "ringfence/", "\n" },
	};

	rf_checkpoint_origin("a b\n", 0xabc, c.origin);
	assert_string_equal(c.origin, "ringfence/audit/a_b_/0xabc");
	assert_int_equal(rf_checkpoint_sign(&key, &c, note), 0);
	assert_memory_equal(note, "ringfence/audit/a_b_/0xabc\n12\nAQIDAAAA", 38);
	assert_non_null(strstr(note, "=\n\n\xe2\x80\x94 ringfence-audit "));
	assert_int_equal(rf_checkpoint_open(&public_key, note, strlen(note), &again), 0);
	assert_int_equal(again.size, 12);
	assert_string_equal(again.origin, c.origin);
	assert_memory_equal(again.root, c.root, sizeof(c.root));
	assert_int_equal(rf_checkpoint_open(&foreign, note, strlen(note), &again), -ENOKEY);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		char *at = strstr(note, broken[i][0]);

		assert_non_null(at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - note), note, broken[i][1],
			 at + strlen(broken[i][0]));
		assert_int_equal(rf_checkpoint_open(NULL, text, strlen(text), &again), -EBADMSG);
	}
}

/* Of a log that anybody may have written, without a key: longer than any. */
static void longer_than_any(void **state)
{
	static const char signature[] = "\n\xe2\x80\x94 other AAAAAAAA\n";
	char *note = malloc(2 * RF_NOTE_BYTES);
	struct rf_checkpoint c;

	assert_non_null(note);
	for (size_t len = RF_NOTE_BYTES - 32; len < 2 * RF_NOTE_BYTES - 64; len += 16) {
		memset(note, 'x', len - 1);
		note[len - 1] = '\n';
		memcpy(note + len, signature, sizeof(signature));
		assert_int_equal(rf_checkpoint_open(NULL, note, strlen(note), &c), -EBADMSG);
	}
	free(note);
}

/* --- when the writer signs ---------------------------------------------------------- */

static struct rf_chain chain;

static struct rf_audit *writer(uint64_t instance, struct rf_chain *c)
{
	const struct rf_audit_setup setup = {
		.vm = instance == ONE ? "one" : "two", .instance = instance, .chain = c, .key = &key
	};
	struct rf_audit *a = NULL;

	assert_int_equal(rf_audit_open_setup(open(fake_log_path, O_RDWR | O_APPEND), &setup, &a),
			 0);
	return a;
}

static void put(struct rf_audit *a, unsigned int n)
{
	while (n--) {
		assert_int_equal(rf_audit_outcome(a, 1, "ok"), 0);
		assert_int_equal(rf_audit_tick(a), 0);
	}
}

static int setup(void **state)
{
	int fd;

	strcpy(fake_log_path, "/tmp/rf-checkpoint-XXXXXX");
	fd = mkstemp(fake_log_path);
	if (fd < 0)
		return -1;
	close(fd);
	rf_chain_init(&chain);
	fake_log_key = &public_key;
	return 0;
}

static int teardown(void **state)
{
	unlink(fake_log_path);
	return 0;
}

static struct fake_log log_one, touched;

static size_t lines_of_type(const char *type)
{
	char word[40];
	size_t n = 0;

	snprintf(word, sizeof(word), "\"type\":\"%s\"", type);
	fake_log_drop_all(&log_one);
	fake_log_read(&log_one);
	for (size_t i = 0; i < log_one.count; i++)
		n += strstr(log_one.line[i], word) != NULL;
	return n;
}

static void its_line(void **state)
{
	struct rf_audit *a = writer(ONE, &chain);
	const char *note;
	json_t *o;

	put(a, 3);
	assert_int_equal(rf_audit_end(a, NULL), 0);
	rf_audit_close(a);
	assert_int_equal(lines_of_type("checkpoint"), 1);
	o = json_loads(log_one.line[4], 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(o, "tree_size")), 4);
	assert_int_equal(strlen(json_string_value(json_object_get(o, "root"))), 64);
	note = json_string_value(json_object_get(o, "note"));
	/* As a reader of JSON has it, the dash is one. */
	assert_int_equal(open_note(&public_key, note), 0);
	assert_memory_equal(note, "ringfence/audit/one/0x11\n4\n", 27);
	json_decref(o);
	assert_int_equal(fake_log_verify(&log_one, 1), RF_LOG_INTACT);
	assert_int_equal(fake_findings, 0);
	assert_int_equal(fake_instances[0].checkpoints, 1);
	assert_int_equal(fake_instances[0].covered, 4);
	fake_log_key = &foreign;
	assert_int_equal(fake_log_verify(&log_one, 1), RF_LOG_NOT_INTACT);
	fake_log_assert_found(0, RF_FOUND_NOT_SIGNED, ONE, 5, 5);
	fake_log_key = NULL;
	assert_int_equal(fake_log_verify(&log_one, 1), RF_LOG_INTACT);
}

static void each_256_lines(void **state)
{
	struct rf_audit *a = writer(ONE, &chain);

	put(a, 255);
	assert_int_equal(lines_of_type("checkpoint"), 0);
	put(a, 1);
	assert_int_equal(lines_of_type("checkpoint"), 1);
	put(a, 255);
	assert_int_equal(lines_of_type("checkpoint"), 1);
	/* Counted on by the next writer. */
	rf_audit_close(a);
	a = writer(ONE, &chain);
	put(a, 1);
	assert_int_equal(lines_of_type("checkpoint"), 2);
	assert_int_equal(rf_audit_end(a, NULL), 0);
	rf_audit_close(a);
	assert_int_equal(lines_of_type("checkpoint"), 3);
	assert_int_equal(fake_log_verify(&log_one, 1), RF_LOG_INTACT);
}

static void each_ten_seconds(void **state)
{
	struct rf_audit *a = writer(ONE, &chain);

	later_ns += RF_AUDIT_CHECKPOINT_NS;
	assert_int_equal(rf_audit_tick(a), 0);
	assert_int_equal(lines_of_type("checkpoint"), 0); /* nothing new */
	put(a, 2);
	assert_int_equal(lines_of_type("checkpoint"), 1); /* with the first line */
	for (int i = 0; i < 5; i++) {
		later_ns += RF_AUDIT_CHECKPOINT_NS;
		assert_int_equal(rf_audit_tick(a), 0);
	}
	assert_int_equal(lines_of_type("checkpoint"), 2);
	rf_audit_close(a);
}

/* Who does not know what was written signs nothing. */
static void without_its_memory(void **state)
{
	struct rf_audit *a = writer(ONE, NULL);

	put(a, 2);
	rf_audit_close(a);
	a = writer(ONE, NULL);
	put(a, 300);
	rf_audit_close(a);
	assert_int_equal(lines_of_type("checkpoint"), 0);
	assert_int_equal(fake_log_verify(&log_one, 1), RF_LOG_CANNOT_TELL);
	fake_log_assert_found(1, RF_FOUND_NO_CHECKPOINT, ONE, 0, 302);
}

/* --- without the key ------------------------------------------------------------------ */

/* Two VMs; of the first one checkpoints behind 20, 40, 60, 80 lines and its end. */
static void write_both(void)
{
	static struct rf_chain second;
	struct rf_audit *a = writer(ONE, &chain), *b;

	rf_chain_init(&second);
	b = writer(TWO, &second);
	for (int i = 0; i < 4; i++) {
		put(b, 10);
		put(a, 19);
		later_ns += RF_AUDIT_CHECKPOINT_NS;
		put(a, 1);
	}
	assert_int_equal(rf_audit_end(a, NULL), 0);
	assert_int_equal(rf_audit_end(b, NULL), 0);
	rf_audit_close(a);
	rf_audit_close(b);
	fake_log_drop_all(&log_one);
	fake_log_read(&log_one);
	assert_int_equal(fake_log_verify(&log_one, 1), RF_LOG_INTACT);
	assert_int_equal(fake_instances[1].checkpoints, 5);
	fake_log_copy(&touched, &log_one);
	/* That does what it should: the log is the same. */
	fake_log_hash_anew(&touched, ONE);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_INTACT);
}

static size_t find_line(const struct fake_log *l, const char *words, size_t nth)
{
	for (size_t i = 0; i < l->count; i++)
		if (strstr(l->line[i], "\"vm\":\"one\"") && strstr(l->line[i], words) && !nth--)
			return i;
	fail();
	return 0;
}

static void rewritten(void **state)
{
	size_t at;

	write_both();
	/* A change. */
	at = find_line(&touched, "\"ok\"", 25);
	memcpy(strstr(touched.line[at], "\"ok\""), "\"OK\"", 4);
	fake_log_hash_anew(&touched, ONE);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(fake_findings, 5); /* and no other: it fits otherwise */
	fake_log_assert_found(0, RF_FOUND_FALSE_CHECKPOINT, ONE, 42,
			      find_line(&touched, "checkpoint", 1) + 1);
	fake_log_assert_found(4, RF_FOUND_NOT_COVERED, ONE, 21,
			      find_line(&touched, "checkpoint", 0) + 1);
	/* A line less. */
	fake_log_copy(&touched, &log_one);
	fake_log_drop(&touched, find_line(&touched, "\"ok\"", 65));
	fake_log_hash_anew(&touched, ONE);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(fake_found[0].kind, RF_FOUND_FALSE_CHECKPOINT);
	/* All of it, without a key it is found all the same: by the roots. */
	fake_log_key = NULL;
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
}

static void cut_back_to_a_checkpoint(void **state)
{
	size_t at;

	write_both();
	for (at = find_line(&touched, "checkpoint", 2) + 1; at < touched.count;)
		if (strstr(touched.line[at], "\"vm\":\"one\""))
			fake_log_drop(&touched, at);
		else
			at++;
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_OPEN_END);
	assert_int_equal(fake_findings, 2);
	fake_log_assert_found(0, RF_FOUND_OPEN_END, ONE, 63, fake_found[1].line);
	fake_log_assert_found(1, RF_FOUND_NOT_COVERED, ONE, 63,
			      find_line(&touched, "checkpoint", 2) + 1);
	assert_string_equal(rf_finding_text(fake_found[1].kind),
			    "nothing after this checkpoint can be known");
	/* With an end of one's own it is no more: nobody has signed it. */
	fake_log_add(&touched, touched.count, log_one.line[find_line(&log_one, "\"end\"", 0)],
		     strlen(log_one.line[find_line(&log_one, "\"end\"", 0)]));
	fake_log_hash_anew(&touched, ONE);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_OPEN_END);
	assert_int_equal(fake_findings, 1);
	assert_int_equal(fake_found[0].kind, RF_FOUND_NOT_COVERED);
}

static void all_of_them_dropped(void **state)
{
	write_both();
	for (size_t i = 0; i < 5; i++)
		fake_log_drop(&touched, find_line(&touched, "checkpoint", 0));
	fake_log_hash_anew(&touched, ONE);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_CANNOT_TELL);
	assert_int_equal(fake_findings, 1);
	assert_int_equal(fake_found[0].kind, RF_FOUND_NO_CHECKPOINT);
}

/* The only checkpoint is the one behind the end: without it that is not the end, with a key or
 * none. */
static void the_last_one_dropped(void **state)
{
	struct rf_audit *a = writer(ONE, &chain);

	put(a, 3);
	assert_int_equal(rf_audit_end(a, NULL), 0);
	rf_audit_close(a);
	assert_int_equal(lines_of_type("checkpoint"), 1);
	assert_int_equal(fake_log_verify(&log_one, 1), RF_LOG_INTACT);
	fake_log_drop(&log_one, log_one.count - 1);
	assert_int_equal(fake_log_verify(&log_one, 1), RF_LOG_CANNOT_TELL);
	fake_log_assert_found(0, RF_FOUND_NO_CHECKPOINT, ONE, 0, 4);
	fake_log_key = NULL;
	assert_int_equal(fake_log_verify(&log_one, 1), RF_LOG_OPEN_END);
	assert_int_equal(fake_findings, 1);
	fake_log_assert_found(0, RF_FOUND_OPEN_END, ONE, 4, 4);
	/* Another line in its place is no checkpoint: it stays open. */
	fake_log_add(&log_one, 4, "{}", 2);
	assert_int_not_equal(fake_log_verify(&log_one, 1), RF_LOG_INTACT);
}

/* Who does not sign says so, and its log needs none. */
static void an_end_without_one(void **state)
{
	struct rf_audit *a;

	fake_log_key = NULL;
	assert_int_equal(log_open(fake_log_path, "one", ONE, &a), 0);
	assert_int_equal(rf_audit_end(a, NULL), 0);
	rf_audit_close(a);
	assert_int_equal(lines_of_type("end"), 1);
	assert_null(strstr(log_one.line[0], "signed"));
	assert_int_equal(fake_log_verify(&log_one, 1), RF_LOG_INTACT);
}

/* Signed, but by another key; or of another VM, or place. */
static void others_checkpoints(void **state)
{
	static const struct {
		const char *from, *to;
	} notes[] = { { "/one/", "/two/" }, { "\\u000a20\\u000a", "\\u000a10\\u000a" } };

	write_both();
	for (size_t i = 0; i < 2; i++) {
		size_t at = find_line(&touched, "checkpoint", 0);
		char *member;

		fake_log_copy(&touched, &log_one);
		member = strstr(touched.line[at], notes[i].from);
		assert_non_null(member);
		memcpy(member, notes[i].to, strlen(notes[i].to));
		fake_log_hash_anew(&touched, ONE);
		assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
		assert_int_equal(fake_found[0].kind, RF_FOUND_NOT_SIGNED);
		fake_log_key = NULL;
		assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
		assert_int_equal(fake_found[0].kind, RF_FOUND_FALSE_CHECKPOINT);
		fake_log_key = &public_key;
	}
}

/* The right key, the right lines, and the name of another VM: a key may sign for many. */
static void of_another_origin(void **state)
{
	char note[RF_NOTE_BYTES], *line;
	struct rf_checkpoint c;
	json_t *o, *had;
	size_t at;

	write_both();
	at = find_line(&touched, "checkpoint", 0);
	o = json_loadb(touched.line[at], touched.len[at], 0, NULL);
	had = json_object_get(o, "note");
	assert_int_equal(rf_checkpoint_open(&public_key, json_string_value(had),
					    json_string_length(had), &c),
			 0);
	rf_checkpoint_origin("two", TWO, c.origin);
	assert_int_equal(rf_checkpoint_sign(&key, &c, note), 0);
	json_object_set_new(o, "note", json_string(note));
	line = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
	fake_log_drop(&touched, at);
	fake_log_add(&touched, at, line, strlen(line));
	free(line);
	json_decref(o);
	fake_log_hash_anew(&touched, ONE);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	fake_log_assert_found(0, RF_FOUND_FALSE_CHECKPOINT, ONE, 21, at + 1);
}

/* Whatever is done to the lines that are covered, and however well it is made to fit. */
static void hundreds_of_forgeries(void **state)
{
	unsigned int seed = 7;

	write_both();
	for (unsigned int i = 0; i < rounds(300); i++) {
		size_t a = find_line(&log_one, "\"vm\"", (size_t)rand_r(&seed) % 82);
		size_t b = find_line(&log_one, "\"vm\"", (size_t)rand_r(&seed) % 82);
		char *vm;

		fake_log_copy(&touched, &log_one);
		switch (i % 3) {
		case 0:
			vm = strstr(touched.line[a], "\"mono_ns\":") + 12;
			*vm = *vm == '1' ? '2' : '1';
			break;
		case 1:
			fake_log_drop(&touched, a);
			break;
		case 2:
			fake_log_add(&touched, a, log_one.line[b], log_one.len[b]);
			break;
		}
		fake_log_hash_anew(&touched, ONE);
		assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	}
}

static int begin(void **state)
{
	if (sodium_init() < 0)
		return -1;
	rf_note_key_generate("ringfence-audit", &key);
	rf_note_key_generate("ringfence-audit", &foreign);
	public_key = key;
	return 0;
}

static int finish(void **state)
{
	fake_log_drop_all(&log_one);
	fake_log_drop_all(&touched);
	return 0;
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_6962),
		cmocka_unit_test(as_defined),
		cmocka_unit_test(any_size),
		cmocka_unit_test(c2sp_example),
		cmocka_unit_test(keys),
		cmocka_unit_test(its_text),
		cmocka_unit_test(longer_than_any),
		TEST(its_line),
		TEST(each_256_lines),
		TEST(each_ten_seconds),
		TEST(without_its_memory),
		TEST(rewritten),
		TEST(cut_back_to_a_checkpoint),
		TEST(all_of_them_dropped),
		TEST(the_last_one_dropped),
		TEST(an_end_without_one),
		TEST(hundreds_of_forgeries),
		TEST(others_checkpoints),
		TEST(of_another_origin),
	};

	return cmocka_run_group_tests(tests, begin, finish);
}
