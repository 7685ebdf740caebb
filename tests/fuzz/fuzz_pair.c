// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a sweeper that was taken over says to its monitor, packet by packet. Input, again and again:
 * a byte, and what it says: 255 the VM is reset, 0 a packet of the right size (what is missing of
 * it is zeros), else one of so many bytes.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

#define PACKETS 64
#define RESET 255 /* a packet has 248 bytes */

_Static_assert(sizeof(struct rf_found) < RESET, "each length fits");

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Orders are read, so that none of them waits. */
static void pass_over_orders(int peer)
{
	struct rf_order o;
	int fds[RF_SHARED] = { -1, -1, -1 };

	while (rf_packet_receive(peer, 0, &o, sizeof(o), fds, RF_SHARED) > 0)
		for (int i = 0; i < RF_SHARED; i++) {
			if (fds[i] >= 0)
				close(fds[i]);
			fds[i] = -1;
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int ends[2];

	/* One monitor for all inputs: each finds a sealed kernel. */
	if (!guest.pair.fd) {
		if (fake_setup(NULL) || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) ||
		    fcntl(ends[0], F_SETFL, O_NONBLOCK))
			abort();
		guest.pair.fd = ends[0];
	}
	if (fake.info.state != RF_VM_SEALED)
		fake_sealed();
	pass_over_orders(ends[1]);
	for (int i = 0; i < PACKETS && size; i++) {
		uint8_t packet[RESET] = { 0 };
		size_t how = *data++, len = how ? how : sizeof(struct rf_found), have;
		uint64_t kernel;

		size--;
		if (how == RESET) {
			fake_reset();
			pass_over_orders(ends[1]);
			continue;
		}
		have = len < size ? len : size;
		memcpy(packet, data, have);
		data += have;
		size -= have;
		/* Most of the odd ones would be of no kernel that there is. */
		memcpy(&kernel, packet + offsetof(struct rf_found, kernel), sizeof(kernel));
		if (kernel & 1)
			memcpy(packet + offsetof(struct rf_found, kernel), &guest.kernel_event,
			       sizeof(kernel));
		if (send(ends[1], packet, len, MSG_NOSIGNAL) < 0 || rf_pair_take(&guest))
			abort();
		pass_over_orders(ends[1]);
	}
	/* Whatever it said: no verdict, and nothing released but by the reset. */
	if (!guest.pair.fd || guest.pair.shut)
		abort();
	return 0;
}
