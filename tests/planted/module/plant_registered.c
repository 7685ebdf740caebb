// SPDX-License-Identifier: GPL-2.0-only
/* What else is registered: introspection/checks/registered.c. */
#include <crypto/hash.h>
#include <crypto/internal/hash.h>
#include <linux/binfmts.h>
#include <linux/clocksource.h>
#include <linux/crypto.h>
#include <linux/key-type.h>
#include <linux/kmsg_dump.h>
#include <linux/module.h>

#include "planted.h"

/* --- programs ----------------------------------------------------------------------- */

static unsigned int format_calls;

static int on_load(struct linux_binprm *program)
{
	format_calls++;
	return -ENOEXEC;
}

static struct linux_binfmt format = { .load_binary = on_load };

static int plant_format(struct rf_planted *p)
{
	register_binfmt(&format);
	return rf_pointer(p, &format.load_binary, &format_calls);
}

static void undo_format(struct rf_planted *p)
{
	unregister_binfmt(&format);
}

/* --- keys --------------------------------------------------------------------------- */

static int on_key(struct key *key, struct key_preparsed_payload *prep)
{
	return -EINVAL;
}

static struct key_type key_type = { .name = "rf_planted", .instantiate = on_key };

static int plant_key_type(struct rf_planted *p)
{
	return register_key_type(&key_type) ?: rf_pointer(p, &key_type.instantiate, NULL);
}

static void undo_key_type(struct rf_planted *p)
{
	unregister_key_type(&key_type);
}

/* --- algorithms --------------------------------------------------------------------- */

static unsigned int hash_calls;

static int on_set_key(struct crypto_tfm *tfm, const u8 *key, unsigned int len)
{
	return 0;
}

static void on_block(struct crypto_tfm *tfm, u8 *to, const u8 *from)
{
	*to = *from;
}

static struct crypto_alg cipher = {
	.cra_name = "rf-planted",
	.cra_driver_name = "rf-planted-cipher",
	.cra_flags = CRYPTO_ALG_TYPE_CIPHER,
	.cra_blocksize = 1,
	.cra_module = THIS_MODULE,
	.cra_u.cipher = { .cia_min_keysize = 1,
			  .cia_max_keysize = 16,
			  .cia_setkey = on_set_key,
			  .cia_encrypt = on_block,
			  .cia_decrypt = on_block },
};

static int plant_cipher(struct rf_planted *p)
{
	return crypto_register_alg(&cipher)
		       ?: rf_pointer(p, &cipher.cra_u.cipher.cia_encrypt, NULL);
}

static void undo_cipher(struct rf_planted *p)
{
	crypto_unregister_alg(&cipher);
}

static int on_digest(struct shash_desc *desc, const u8 *data, unsigned int len, u8 *out)
{
	hash_calls++;
	*out = 0;
	return 0;
}

static int on_update(struct shash_desc *desc, const u8 *data, unsigned int len)
{
	return 0;
}

static int on_final(struct shash_desc *desc, u8 *out)
{
	*out = 0;
	return 0;
}

static int on_begin(struct shash_desc *desc)
{
	return 0;
}

/* Its functions stand around the crypto_alg that is on the list. */
static struct shash_alg hash = {
	.init = on_begin,
	.update = on_update,
	.final = on_final,
	.digest = on_digest,
	.descsize = 8,
	.digestsize = 1,
	.base = { .cra_name = "rf-planted-hash",
		  .cra_driver_name = "rf-planted-hash",
		  .cra_blocksize = 1,
		  .cra_module = THIS_MODULE },
};

static int plant_hash(struct rf_planted *p)
{
	return crypto_register_shash(&hash) ?: rf_pointer(p, &hash.digest, &hash_calls);
}

static void undo_hash(struct rf_planted *p)
{
	crypto_unregister_shash(&hash);
}

static void prod_hash(void)
{
	struct crypto_shash *tfm = crypto_alloc_shash("rf-planted-hash", 0, 0);
	u8 out[1];

	if (IS_ERR(tfm))
		return;
	crypto_shash_tfm_digest(tfm, out, sizeof(out), out);
	crypto_free_shash(tfm);
}

/* --- clocks, log -------------------------------------------------------------------------------
 */

static u64 on_read(struct clocksource *clock)
{
	return 0;
}

static struct clocksource clock = { .name = "rf_planted",
				    .rating = 1, /* nobody wants it */
				    .read = on_read,
				    .mask = CLOCKSOURCE_MASK(32),
				    .flags = CLOCK_SOURCE_IS_CONTINUOUS };

static int plant_clock(struct rf_planted *p)
{
	return clocksource_register_khz(&clock, 1000) ?: rf_pointer(p, &clock.read, NULL);
}

static void undo_clock(struct rf_planted *p)
{
	clocksource_unregister(&clock);
}

/* How it is told why differs, and is not looked at. */
static void on_dump(struct kmsg_dumper *dumper, unsigned long why) {}

static struct kmsg_dumper dumper = { .dump = (void *)on_dump };

static int plant_dumper(struct rf_planted *p)
{
	return kmsg_dump_register(&dumper) ?: rf_pointer(p, &dumper.dump, NULL);
}

static void undo_dumper(struct rf_planted *p)
{
	kmsg_dump_unregister(&dumper);
}

const struct rf_plant rf_plants_registered[] = {
	{ "binary_format", "binary-formats", plant_format, undo_format },
	{ "key_type", "key-types", plant_key_type, undo_key_type },
	{ "cipher", "crypto-algorithms", plant_cipher, undo_cipher },
	{ "hash", "crypto-algorithms", plant_hash, undo_hash, prod_hash },
	{ "clocksource", "clocks", plant_clock, undo_clock },
	{ "kmsg_dumper", "log-dumpers", plant_dumper, undo_dumper },
	{ 0 },
};
