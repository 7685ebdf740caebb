/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Types that a test has made up, loaded as a guest's are. Behind cmocka.h. */
#ifndef RF_TESTS_UNIT_SYNTH_LOAD_H
#define RF_TESTS_UNIT_SYNTH_LOAD_H

#include <stdlib.h>

#include <bpf/btf.h>

#include "introspection/btf.h"
#include "tests/unit/synth.h"

#define STRUCT BTF_KIND_STRUCT
#define UNION BTF_KIND_UNION

static inline struct rf_btf *load(const struct synth_btf *b)
{
	struct rf_btf *btf = NULL;
	size_t len;
	uint8_t *blob = synth_btf_blob(b, &len);

	assert_int_equal(rf_btf_create(blob, len, &btf), 0);
	free(blob);
	return btf;
}

#endif
