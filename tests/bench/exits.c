// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * exits N: a micro-guest under a seal makes N exits that are the VMM's (port output). bench.py
 * counts the fence's instructions for two values of N; the difference is what one exit costs.
 */
#include <stdlib.h>

#include "tests/kvm/scenario.h"

GUEST(g_out, "1: out %al, $0x80\n jmp 1b");

int main(int argc, char **argv)
{
	long n = argc > 1 ? atol(argv[1]) : 0;
	struct cpu *c;

	if (n < 1)
		return 2;
	sealed_machine(1);
	c = &vm.cpus[0];
	CPU_START(c, g_out);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_IO);
	for (long i = 1; i < n; i++) {
		do
			c->result = cpu_ioctl(c, KVM_RUN, NULL);
		while (c->result < 0 && errno == EINTR);
		CHECK_EQ(c->result, 0);
		CHECK_EQ(c->run->exit_reason, KVM_EXIT_IO);
	}
	printf("%ld exits\n", n);
	fflush(stdout);
	_exit(0);
}
