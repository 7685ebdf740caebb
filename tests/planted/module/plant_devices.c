// SPDX-License-Identifier: GPL-2.0-only
/* Devices: introspection/checks/devices.c. */
#include <linux/console.h>
#include <linux/fs.h>
#include <linux/input.h>
#include <linux/miscdevice.h>
#include <linux/slab.h>
#include <linux/tty.h>
#include <linux/tty_driver.h>
#include <linux/tty_ldisc.h>

#include "planted.h"

/* --- terminals ---------------------------------------------------------------------- */

static struct tty_driver *driver;
static const struct tty_operations *tty_before;
static struct tty_operations *tty_ops;
static unsigned int open_calls;

static int on_open(struct tty_struct *tty, struct file *file)
{
	open_calls++;
	return tty_before->open(tty, file);
}

static int plant_tty(struct rf_planted *p)
{
	struct list_head *drivers = rf_symbol("tty_drivers");
	struct tty_driver *at;

	if (!drivers)
		return rf_cannot(p, "no list of tty drivers");
	list_for_each_entry(at, drivers, tty_drivers) if (!strcmp(at->name, "ttyS")) driver = at;
	if (!driver)
		return rf_cannot(p, "no serial driver");
	tty_before = driver->ops;
	tty_ops = kmemdup(tty_before, sizeof(*tty_ops), GFP_KERNEL);
	if (!tty_ops)
		return -ENOMEM;
	tty_ops->open = on_open;
	WRITE_ONCE(driver->ops, tty_ops);
	return rf_table(p, driver, &driver->ops, &open_calls);
}

/* A terminal that was opened meanwhile has kept it: user mode has closed it some time ago. */
static void undo_tty(struct rf_planted *p)
{
	WRITE_ONCE(driver->ops, tty_before);
	synchronize_rcu();
	kfree(tty_ops);
}

static int on_discipline(struct tty_struct *tty)
{
	return -ENODEV;
}

/* 8 is kept for Mobitex modems, which the kernel has nothing for. */
static struct tty_ldisc_ops discipline = { .num = 8, .name = "rf_planted", .open = on_discipline };

static int plant_discipline(struct rf_planted *p)
{
	return tty_register_ldisc(&discipline) ?: rf_pointer(p, &discipline.open, NULL);
}

static void undo_discipline(struct rf_planted *p)
{
	tty_unregister_ldisc(&discipline);
}

/* --- misc devices ------------------------------------------------------------------- */

static unsigned int misc_calls;

static int on_misc(struct inode *inode, struct file *file)
{
	misc_calls++;
	return -ENODEV;
}

static const struct file_operations misc_ops = { .open = on_misc };
static struct miscdevice misc = { .minor = MISC_DYNAMIC_MINOR,
				  .name = "rf_planted",
				  .fops = &misc_ops };

static int plant_misc(struct rf_planted *p)
{
	return misc_register(&misc) ?: rf_table(p, &misc, &misc.fops, &misc_calls);
}

static void undo_misc(struct rf_planted *p)
{
	misc_deregister(&misc);
}

/* --- input -------------------------------------------------------------------------- */

static struct input_dev *keyboard;
static unsigned int input_calls;

static void on_event(struct input_handle *handle, unsigned int type, unsigned int code, int value)
{
	input_calls++;
}

static int on_connect(struct input_handler *handler, struct input_dev *dev,
		      const struct input_device_id *id)
{
	struct input_handle *handle = kzalloc(sizeof(*handle), GFP_KERNEL);
	int err;

	if (!handle)
		return -ENOMEM;
	handle->dev = dev;
	handle->handler = handler;
	handle->name = "rf_planted";
	err = input_register_handle(handle);
	if (!err) {
		err = input_open_device(handle);
		if (err)
			input_unregister_handle(handle);
	}
	if (err)
		kfree(handle);
	return err;
}

static void on_disconnect(struct input_handle *handle)
{
	input_close_device(handle);
	input_unregister_handle(handle);
	kfree(handle);
}

static const struct input_device_id ids[] = {
	{ .flags = INPUT_DEVICE_ID_MATCH_EVBIT, .evbit = { BIT_MASK(EV_KEY) } }, {}
};
static struct input_handler handler = {
	.event = on_event,
	.connect = on_connect,
	.disconnect = on_disconnect,
	.name = "rf_planted",
	.id_table = ids,
};

/* With a keyboard of its own to type on. */
static int plant_input(struct rf_planted *p)
{
	int err = input_register_handler(&handler);

	if (err)
		return err;
	keyboard = input_allocate_device();
	if (!keyboard)
		return -ENOMEM;
	keyboard->name = "rf_planted";
	__set_bit(EV_KEY, keyboard->evbit);
	for (unsigned int key = KEY_ESC; key < KEY_MICMUTE;
	     key++) /* the kernel's handler wants a keyboard */
		__set_bit(key, keyboard->keybit);
	return input_register_device(keyboard) ?: rf_pointer(p, &handler.event, &input_calls);
}

static void undo_input(struct rf_planted *p)
{
	input_unregister_device(keyboard);
	input_unregister_handler(&handler);
}

static void prod_input(void)
{
	for (int value = 1; value >= 0; value--) {
		input_report_key(keyboard, KEY_A, value);
		input_sync(keyboard);
	}
}

/* --- consoles ----------------------------------------------------------------------- */

static unsigned int console_calls;

static void on_write(struct console *console, const char *text, unsigned int size)
{
	console_calls++;
}

static struct console console = {
	.name = "rfcon", .write = on_write, .flags = CON_ENABLED, .index = -1
};

static int plant_console(struct rf_planted *p)
{
	register_console(&console);
	return rf_pointer(p, &console.write, &console_calls);
}

static void undo_console(struct rf_planted *p)
{
	unregister_console(&console);
}

const struct rf_plant rf_plants_devices[] = {
	{ "tty_driver_ops", "tty-drivers", plant_tty, undo_tty },
	{ "line_discipline", "line-disciplines", plant_discipline, undo_discipline },
	{ "misc_device", "misc-devices", plant_misc, undo_misc },
	{ "input_handler", "input-handlers", plant_input, undo_input, prod_input },
	{ "console", "consoles", plant_console, undo_console },
	{ 0 },
};
