// SPDX-License-Identifier: LGPL-2.1-or-later
/* dump_seeds FOLDER: one file of each format for fuzz_dump. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/fake_dump.h"

static void write_seed(const char *folder, const char *name, struct fake_dump f)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "we");
	if (!file || fwrite(f.bytes, f.len, 1, file) != 1 || fclose(file)) {
		perror(path);
		exit(1);
	}
	free(f.bytes);
}

static struct fake_dump flattened(struct fake_dump f)
{
	struct fake_dump flat = fake_dump_flatten(&f, 5000);

	free(f.bytes);
	return flat;
}

int main(int argc, char **argv)
{
	struct fake_dump raw = { 0 };

	if (argc != 2) {
		fputs("usage: dump_seeds FOLDER\n", stderr);
		return 2;
	}
	fake_dump_u64(&raw, 8184, 1);
	write_seed(argv[1], "raw", raw);
	write_seed(argv[1], "elf", fake_dump_elf());
	write_seed(argv[1], "lime", fake_dump_lime());
	write_seed(argv[1], "kdump-zlib", fake_dump_kdump(FAKE_ZLIB));
	write_seed(argv[1], "kdump-lzo", fake_dump_kdump(FAKE_LZO));
	write_seed(argv[1], "kdump-snappy", fake_dump_kdump(FAKE_SNAPPY));
	write_seed(argv[1], "kdump-zstd", fake_dump_kdump(FAKE_ZSTD));
	write_seed(argv[1], "flat-elf", flattened(fake_dump_elf()));
	write_seed(argv[1], "flat-kdump", flattened(fake_dump_kdump(FAKE_ZLIB)));
	return 0;
}
