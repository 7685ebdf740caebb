/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What kernels have by different names. Each is looked for in the very headers that the module is
 * built with (here, or by Kbuild where it is no macro and no file), never told by a version.
 */
#ifndef RF_COMPAT_H
#define RF_COMPAT_H

#include <asm/msr.h>
#include <linux/hrtimer.h>
#if __has_include(<asm/cpuid/api.h>)
#include <asm/cpuid/api.h>
#else
#include <asm/processor.h>
#endif

#ifdef RF_HAVE_RDMSRQ
#define rdmsrl_safe rdmsrq_safe
#endif

static inline void rf_hrtimer_setup(struct hrtimer *timer,
				    enum hrtimer_restart (*tick)(struct hrtimer *),
				    enum hrtimer_mode mode)
{
#ifdef RF_HAVE_HRTIMER_SETUP
	hrtimer_setup(timer, tick, CLOCK_MONOTONIC, mode);
#else
	hrtimer_init(timer, CLOCK_MONOTONIC, mode);
	timer->function = tick;
#endif
}

#endif
