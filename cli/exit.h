/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Exit codes of the ringfence command. docs/ringfence.1.scd lists the same numbers; scripts may
 * rely on them. */
#ifndef RF_CLI_EXIT_H
#define RF_CLI_EXIT_H

enum rf_exit {
	RF_EXIT_OK = 0,
	RF_EXIT_NO =
		1, /* it ran, and the answer is no: a facility is missing, nothing was blocked */
	RF_EXIT_USAGE = 2,     /* the command line makes no sense */
	RF_EXIT_NOT_FOUND = 3, /* no such VM or log */
	RF_EXIT_NO_ANSWER =
		4, /* the VM's monitor does not answer, or not in a way that makes sense */
	RF_EXIT_INTERNAL = 5,	 /* no memory, no descriptors, output could not be written */
	RF_EXIT_CANNOT_TELL = 6, /* a log cannot be read, or has nothing that can be verified */
	RF_EXIT_OPEN_END =
		7, /* a log, or a dump, is right as far as it goes, and not known to be whole */

	/*
	 * `run` passes on the VMM's own status (128 + n for signal n), so its refusals stand where
	 * env(1) and timeout(1) put theirs.
	 */
	RF_EXIT_NOT_ATTACHED =
		124,	       /* the VMM was started, never came under protection, and was ended */
	RF_EXIT_REFUSED = 125, /* nothing was started: option, policy, measurement, library,
				  monitor, KVM, seccomp, a descriptor, a watch that is required,
				  state folder, log */
	RF_EXIT_NOT_PROTECTABLE = 126, /* the program is there but cannot be run under the fence */
	RF_EXIT_NO_PROGRAM = 127,      /* no such program */
};

#endif
