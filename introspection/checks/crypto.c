// SPDX-License-Identifier: LGPL-2.1-or-later
/* The crypto API (crypto/algapi.c): algorithms are on one list, each with functions of its kind. */
#include <stdio.h>

#include "introspection/checks/families.h"
#include "introspection/checks/inside.h"

/* include/linux/crypto.h; those without a struct crypto_type have their functions in a union. */
#define TYPE_MASK 0x0fu
#define TYPE_CIPHER 1u

/*
 * What stands on the list is a struct crypto_alg, which is the last part of the struct of its kind:
 * include/crypto/hash.h and so on. Which kind it is its cra_type says. A kernel that has one of
 * them as a module has no symbol for it.
 */
static const struct kind {
	const char *symbol, *type, *path;
} kinds[] = {
	{ "crypto_shash_type", "shash_alg", "base" },
	{ "crypto_ahash_type", "ahash_alg", "halg.base" },
	{ "crypto_skcipher_type", "skcipher_alg", "base" },
	{ "crypto_lskcipher_type", "lskcipher_alg", "co.base" },
	{ "crypto_aead_type", "aead_alg", "base" },
	{ "crypto_rng_type", "rng_alg", "base" },
	{ "crypto_akcipher_type", "akcipher_alg", "base" },
	{ "crypto_sig_type", "sig_alg", "base" },
	{ "crypto_kpp_type", "kpp_alg", "base" },
	{ "crypto_acomp_type", "acomp_alg", "base" },
	{ "crypto_scomp_type", "scomp_alg", "base" },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct algorithms {
	uint64_t name, type, flags, cipher;
	uint64_t table[KINDS], base[KINDS]; /* table 0: this kernel has not got it */
};

static int look_at_kind(struct rf_run *run, const struct algorithms *a, uint64_t alg,
			const char *what)
{
	uint64_t type;
	uint32_t flags;
	int err;

	if ((err = rf_run_u64(run, alg + a->type, &type)) ||
	    (err = rf_run_u32(run, alg + a->flags, &flags)))
		return err;
	if (!type)
		return (flags & TYPE_MASK) == TYPE_CIPHER
			       ? rf_run_functions(run, "cipher_alg", alg + a->cipher, what)
			       : 0;
	err = rf_run_table(run, "crypto_type", alg, type, what);
	for (unsigned int i = 0; !err && i < KINDS; i++)
		if (a->table[i] == type)
			return rf_run_functions(run, kinds[i].type, alg - a->base[i], what);
	return err;
}

static int look_at_algorithm(struct rf_run *run, uint64_t alg, void *ctx)
{
	const struct algorithms *a = ctx;
	char what[96], name[64];
	int err = rf_run_text(run, alg + a->name, name, sizeof(name));

	if (err)
		return err;
	rf_run_saw(run);
	snprintf(what, sizeof(what), "algorithm %s", name);
	err = rf_run_functions(run, "crypto_alg", alg, what);
	return err ? err : look_at_kind(run, a, alg, what);
}

static int look_at_algorithms(struct rf_run *run)
{
	struct algorithms a = { 0 };
	uint64_t head, link, unused;
	int err;

	if ((err = rf_run_symbol(run, "crypto_alg_list", &head)) ||
	    (err = rf_run_member(run, "crypto_alg", "cra_list", 16, &link)) ||
	    (err = rf_run_member(run, "crypto_alg", "cra_driver_name", 0, &a.name)) ||
	    (err = rf_run_member(run, "crypto_alg", "cra_type", 8, &a.type)) ||
	    (err = rf_run_member(run, "crypto_alg", "cra_flags", 4, &a.flags)) ||
	    (err = rf_run_member(run, "crypto_alg", "cra_u.cipher", 0, &a.cipher)))
		return err;
	for (unsigned int i = 0; i < KINDS; i++) {
		/* 6.12 has the type of signatures, and as their algorithms those of akcipher. */
		if (rf_run_sizeof(run, kinds[i].type, &unused) ||
		    rf_run_symbol(run, kinds[i].symbol, &a.table[i]))
			continue;
		err = rf_run_member(run, kinds[i].type, kinds[i].path, 0, &a.base[i]);
		if (err)
			return err;
	}
	return rf_run_list(run, head, link, look_at_algorithm, &a);
}

const struct rf_check rf_check_crypto_algorithms = {
	.name = "crypto-algorithms",
	.summary = "algorithms of the crypto API are the kernel's or a signed module's",
	.reading = "keys and plain text are handed to somebody's code",
	.attack = "T1600",
	.severity = RF_SEVERITY_MEDIUM,
	.period_ms = 10000,
	.reads = 1 << 16,
	.run = look_at_algorithms,
};
