// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/proto.h"

static void every_type_has_its_size(void **state)
{
	assert_int_equal(rf_msg_size(0), 0);
	for (uint16_t t = RF_MSG_HELLO; t <= RF_MSG_PEER; t++) {
		assert_in_range(rf_msg_size(t), sizeof(struct rf_msg), RF_MSG_MAX);
		assert_int_equal(rf_msg_size(t) % 8, 0);
	}
	for (unsigned t = RF_MSG_PEER + 1; t <= UINT16_MAX; t++)
		assert_int_equal(rf_msg_size((uint16_t)t), 0);
}

static void own_messages_pass(void **state)
{
	for (uint16_t t = RF_MSG_HELLO; t <= RF_MSG_PEER; t++) {
		uint8_t packet[RF_MSG_MAX] = { 0 };
		struct rf_msg h;

		rf_msg_init(&h, t, 7);
		memcpy(packet, &h, sizeof(h));
		assert_int_equal(h.seq, 7);
		assert_int_equal(rf_msg_check(packet, rf_msg_size(t)), 0);
	}
}

/* Each length but the one: the buffer is exactly as long, so that a read past it is caught. */
static void other_lengths_do_not(void **state)
{
	for (uint16_t t = RF_MSG_HELLO; t <= RF_MSG_PEER; t++) {
		for (size_t len = 0; len <= RF_MSG_MAX; len++) {
			uint8_t *packet = calloc(1, len ? len : 1);
			struct rf_msg h;

			rf_msg_init(&h, t, 0);
			memcpy(packet, &h, len < sizeof(h) ? len : sizeof(h));
			assert_int_equal(rf_msg_check(packet, len),
					 len == rf_msg_size(t) ? 0 : -EBADMSG);
			free(packet);
		}
	}
}

static int check_header(struct rf_msg h)
{
	struct rf_msg_welcome m = { .h = h };

	return rf_msg_check(&m, sizeof(m));
}

static void foreign_headers(void **state)
{
	struct rf_msg good, h;

	rf_msg_init(&good, RF_MSG_WELCOME, 0);
	assert_int_equal(check_header(good), 0);
	for (int bit = 0; bit < 32; bit++) {
		h = good, h.magic ^= UINT32_C(1) << bit;
		assert_int_equal(check_header(h), -EBADMSG);
		h = good, h.size ^= UINT32_C(1) << bit;
		assert_int_equal(check_header(h), -EBADMSG);
		h = good, h.seq ^= UINT32_C(1) << bit;
		assert_int_equal(check_header(h), 0);
	}
	for (int bit = 0; bit < 16; bit++) {
		h = good, h.revision = (uint16_t)(h.revision ^ 1 << bit);
		assert_int_equal(check_header(h), -EPROTONOSUPPORT);
		/* Said before the size: another revision may have other sizes. */
		h.size = 1;
		assert_int_equal(check_header(h), -EPROTONOSUPPORT);
		h = good, h.type = (uint16_t)(h.type ^ 1 << bit);
		assert_int_equal(check_header(h), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_has_its_size),
		cmocka_unit_test(own_messages_pass),
		cmocka_unit_test(other_lengths_do_not),
		cmocka_unit_test(foreign_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
