// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The configuration that a kernel carries (CONFIG_IKCONFIG=y): kernel/configs.c has it packed by
 * gzip between two symbols. Few distributions build it in.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "introspection/posture/impl.h"

#define PACKED_MAX ((uint64_t)1 << 20) /* a distribution's takes some 60 KiB */
#define TEXT_MAX ((size_t)4 << 20)
#define CONFIG_READS 4096u
#define GZIP_WINDOW (15 + 16) /* zlib.h, inflateInit2(): with a header of gzip's */

struct packed {
	uint8_t *bytes;
	uint64_t size;
};

static int fetch(struct rf_run *run, void *ctx)
{
	struct packed *packed = ctx;
	uint64_t start, end;
	int err = rf_run_symbol(run, "kernel_config_data", &start);

	if (!err)
		err = rf_run_symbol(run, "kernel_config_data_end", &end);
	if (err)
		return err;
	if (end <= start || end - start > PACKED_MAX)
		return -EBADMSG;
	free(packed->bytes);
	packed->size = end - start;
	packed->bytes = malloc(packed->size);
	return packed->bytes ? rf_run_read(run, start, packed->bytes, packed->size) : -ENOMEM;
}

/* With a line's end in front and '\0' behind. NULL: damaged, longer than any, or no memory. */
static char *unpack(const struct packed *packed)
{
	char *text = malloc(TEXT_MAX + 2);
	z_stream z = {
		.next_in = packed->bytes,
		.avail_in = (uInt)packed->size,
		.next_out = (Bytef *)text + 1,
		.avail_out = (uInt)TEXT_MAX,
	};
	bool done = false;

	if (text && inflateInit2(&z, GZIP_WINDOW) == Z_OK) {
		done = inflate(&z, Z_FINISH) == Z_STREAM_END;
		inflateEnd(&z);
	}
	if (!done) {
		free(text);
		return NULL;
	}
	text[0] = '\n';
	text[1 + z.total_out] = '\0';
	return text;
}

void rf_posture_take_config(struct rf_posture *p)
{
	struct packed packed = { 0 };
	int err = rf_checks_ask(p->c, CONFIG_READS, fetch, &packed, p->config_why);

	if (!err) {
		p->config = unpack(&packed);
		if (!p->config)
			snprintf(p->config_why, sizeof(p->config_why),
				 "the configuration in the kernel cannot be unpacked");
	} else if (err == -ENOTSUP) {
		*p->config_why = '\0';
	}
	free(packed.bytes);
}

int rf_read_config(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	if (!l->p->config) {
		rf_run_lacks(l->run, "%s",
			     *l->p->config_why ? l->p->config_why
					       : "only its configuration says, and this kernel "
						 "does not carry it");
		return *l->p->config_why ? -ENOTSUP : -ENOENT;
	}
	out->value = rf_posture_has_word(l->p->config, r->name, '\n');
	snprintf(out->text, sizeof(out->text), "%s", out->value ? "built in" : "not built in");
	snprintf(out->by, sizeof(out->by), "configuration in the kernel");
	return 0;
}
