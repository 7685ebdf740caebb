// SPDX-License-Identifier: GPL-2.0-only
/*
 * Notifier chains: introspection/checks/notifiers.c. By their registration, or where modules have
 * none, by the chain itself.
 */
#include <linux/input.h>
#include <linux/kdebug.h>
#include <linux/keyboard.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/panic_notifier.h>
#include <linux/reboot.h>
#include <linux/vt_kern.h>

#include "planted.h"

/* Each with a function of its own: the target tells which one was found. */
#define NOTIFIER(name, check_in, check_out)                                                        \
	static unsigned int calls_##name;                                                          \
	static int on_##name(struct notifier_block *nb, unsigned long what, void *data)            \
	{                                                                                          \
		calls_##name++;                                                                    \
		return NOTIFY_DONE;                                                                \
	}                                                                                          \
	static struct notifier_block nb_##name = { .notifier_call = on_##name };                   \
	static void undo_##name(struct rf_planted *p)                                              \
	{                                                                                          \
		check_out;                                                                         \
	}                                                                                          \
	static int plant_##name(struct rf_planted *p)                                              \
	{                                                                                          \
		int err = check_in;                                                                \
                                                                                                   \
		return err ?: rf_pointer(p, &nb_##name.notifier_call, COUNTED(name));              \
	}

/* What nothing makes the kernel call is not counted: a panic, a reboot. */
#define COUNTED(name) NULL
NOTIFIER(reboot, register_reboot_notifier(&nb_reboot), unregister_reboot_notifier(&nb_reboot))
NOTIFIER(die, register_die_notifier(&nb_die), unregister_die_notifier(&nb_die))
NOTIFIER(panic, atomic_notifier_chain_register(&panic_notifier_list, &nb_panic),
	 atomic_notifier_chain_unregister(&panic_notifier_list, &nb_panic))
NOTIFIER(oom, register_oom_notifier(&nb_oom), unregister_oom_notifier(&nb_oom))
NOTIFIER(restart, register_restart_handler(&nb_restart), unregister_restart_handler(&nb_restart))
NOTIFIER(module, register_module_notifier(&nb_module), unregister_module_notifier(&nb_module))
NOTIFIER(vt, register_vt_notifier(&nb_vt), unregister_vt_notifier(&nb_vt))
#undef COUNTED
#define COUNTED(name) &calls_##name
/* It is told of all devices that there are. */
NOTIFIER(netdev, register_netdevice_notifier(&nb_netdev), unregister_netdevice_notifier(&nb_netdev))
NOTIFIER(keyboard, register_keyboard_notifier(&nb_keyboard),
	 unregister_keyboard_notifier(&nb_keyboard))

const struct rf_plant rf_plants_notifiers[] = {
	{ "notifier_reboot", "notifiers", plant_reboot, undo_reboot },
	{ "notifier_die", "notifiers", plant_die, undo_die },
	{ "notifier_panic", "notifiers", plant_panic, undo_panic },
	{ "notifier_oom", "notifiers", plant_oom, undo_oom },
	{ "notifier_restart", "notifiers", plant_restart, undo_restart },
	{ "notifier_module", "notifiers", plant_module, undo_module },
	{ "notifier_netdev", "notifiers", plant_netdev, undo_netdev },
	{ "notifier_keyboard", "keyboard", plant_keyboard, undo_keyboard },
	{ "notifier_vt", "keyboard", plant_vt, undo_vt },
	{ 0 },
};
