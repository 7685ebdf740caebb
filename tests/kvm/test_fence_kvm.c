// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The fence on this machine's KVM, with guests of a few instructions and a monitor that does as it
 * is told. Each scenario has a process and a VM of its own. Ends with how many passed, failed and
 * were skipped; all skipped is a failure.
 *
 * test_fence_kvm [name...] runs these alone; a name that is none of them is an error that lists them.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "tests/kvm/scenario.h"

#define SECONDS 300 /* for one scenario; an emulated host beside other emulators is slow */

static int passed, skipped;

static void run(void **state)
{
	scenario *body = *(scenario **)*state;
	int status;
	pid_t pid;

	fflush(stdout);
	fflush(stderr);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		/* cmocka's handlers would go on in the parent's next test. */
		for (int sig = 1; sig < 32; sig++)
			signal(sig, SIG_DFL);
		alarm(SECONDS);
		body();
		fflush(stdout);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
		skipped++;
		skip();
	}
	if (WIFSIGNALED(status))
		fail_msg("ended by signal %d%s", WTERMSIG(status),
			 WTERMSIG(status) == SIGALRM ? " (time is up)" : "");
	assert_int_equal(WEXITSTATUS(status), 0);
	passed++;
}

#define S(name)                                                                                    \
	{                                                                                          \
#name, name                                                                        \
	}

static const struct {
	const char *name;
	scenario *body;
} scenarios[] = {
	S(not_asked),
	S(no_monitor),
	S(foreign_monitor),
	S(other_revision),
	S(refusing_monitor),
	S(second_vm),
	S(hidden_memory),
	S(capabilities),
	S(lstar_allowed),
	S(lstar_denied),
	S(lstar_not_canonical),
	S(sealed_for_no_address),
	S(kernel_id_survives_a_denied_write),
	S(exits_pass),
	S(vmm_msr_filter),
	S(vmm_msr_filter_with_exits),
	S(vmm_msr_exits),
	S(vmm_debugs),
	S(signal_mask),
	S(vmm_kicks),
	S(signal_of_the_vmm),
	S(thread_changes),
	S(interrupted_says_so),
	S(devices_over_sealed),
	S(denied_stores),
	S(denied_crossing),
	S(denied_unemulated),
	S(allowed_store),
	S(killed),
	S(across_regions),
	S(user_mode_unemulated),
	S(interrupt_beside_a_question),
	S(watch_hits),
	S(watch_rules),
	S(watch_neighbours_1),
	S(watch_neighbours_2),
	S(watch_neighbours_4),
	S(seal_under_load),
	S(dirty_log),
	S(vmm_changes_slots),
	S(vmm_writes_its_memory),
	S(cpu_added_later),
	S(reset_releases),
	S(sealed_again),
	S(text_poked),
	S(patch_dropped),
	S(patch_called_legal),
	S(poke_rules),
	S(kexec_denied),
	S(kexec_let),
	S(kexec_keeps),
	S(kexec_leaves_behind),
	S(traps_planted),
	S(traps_refused),
	S(trap_allowed),
	S(trap_denied),
	S(trap_control_registers),
	S(trap_elsewhere),
	S(trap_held),
	S(trap_moved),
	S(tables_judged_by_traps),
	S(tables_loaded_meanwhile),
	S(tables_of_another_kernel),
	S(tables_compared),
	S(tables_loaded_beside),
	S(tables_compared_spinning),
	S(msrs_compared),
	S(mended),
	S(monitor_dies_before_verdict),
	S(monitor_restarts_sealed),
	S(stale_seals),
	S(reset_while_held),
	S(reset_while_kernel_held),
	S(pinned_msr),
	S(pinned_bits),
	S(asked_msr),
	S(pinned_sysenter),
	S(pin_rules),
	S(pins_beside_a_filter),
	S(filter_denies_ours),
	S(filter_denies_the_kernel),
	S(reset_unpins),
	S(cr_put_back),
	S(cr_put_back_late),
	S(cr_cleared_while_stepping),
	S(cr_cleared_and_stepped),
	S(cr_lost_signal),
	S(cr_observed),
	S(cr_compared),
	S(cr_rules),
	S(woken_half_way),
	S(woken_without_control_bits),
	S(unsealed_through_resets),
	S(unplugged_cpu),
	S(cr_bad_page),
	S(lstar_zero_put_back),
	S(part_of_a_reset),
	S(alone_in_reset),
	S(looks_like_reset),
	S(told_in_order),
	S(reset_beside_a_running_cpu),
	S(plugged_cpu_reset),
	S(restored_waits),
	S(restored_beside_zero),
	S(restored_nobody),
	S(restored_in_smm),
	S(restored_denied),
	S(restored_twice),
	S(resets_while_announced),
	S(kept_until_another),
	S(kept_and_bounds_beside_it),
	S(fifty_seals),
	S(healed_by_command),
	S(healed_by_dirty_log),
	S(healed_when_stopped),
	S(heals_hide_traps),
	S(two_backends),
	S(log_of_another_slot),
	S(settle_without_entry),
	S(settle_ends),
	S(settle_with_entry),
	S(restore_beside_denied_lstar),
	S(restore_with_all_held),
	S(denied_half_way),
	S(probe_over_trap),
	S(observed_over_trap),
	S(reload_adopted),
	S(reload_misfits),
	S(reload_is_not_healed),
	S(table_changes_meanwhile),
	S(settled_by_two),
	S(observed_lstar),
	S(exit_before_tables),
	S(rules_forbid_stores),
	S(rules_forbid_kexec),
	S(rules_let_kexec),
	S(rules_of_the_first),
	S(monitor_does_not_read),
	S(questions_wait_for_room),
	S(unsealed_told_once),
	S(unsealed_none),
	S(unsealed_beside_no_paging),
	S(stalled_where_it_looped),
	S(rules_forbid_another_entry),
	S(lstar_behind_another_msr),
	S(refused_ioctls),
	S(refusals_stand),
	S(unknown_ioctls),
	S(unknown_capabilities),
	S(userfaultfd_refused),
	S(passed_ioctls),
	S(neighbours_for_the_guest),
	S(store_runs_into_device),
	S(msrs_found_again),
	S(pat_of_a_fresh_cpu),
	S(filter_denies_by_default),
	S(pin_without_room),
	S(efer_as_cpuid_has_it),
	S(all_made_again),
	S(watch_races_seal),
	S(cut_under_load),
	S(lldt_of_a_process),
	S(tables_stored_into_sealed),
	S(frame_on_sealed_stack),
	S(interrupt_on_sealed_stack),
	S(push_on_sealed_stack),
	S(halted_without_fence),
	S(halted_and_interrupted),
	S(halted_beside_a_question),
	S(found_beside_a_slow_device),
	S(found_though_it_halts),
};

static bool is_known(const char *name)
{
	for (size_t i = 0; i < COUNT(scenarios); i++)
		if (!strcmp(name, scenarios[i].name))
			return true;
	return false;
}

static int usage(const char *unknown)
{
	fprintf(stderr, "kvm: there is no scenario %s; these are:\n", unknown);
	for (size_t i = 0; i < COUNT(scenarios); i++)
		fprintf(stderr, "  %s\n", scenarios[i].name);
	return 2;
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[COUNT(scenarios)];
	scenario *bodies[COUNT(scenarios)];
	size_t n = 0;
	int failed;

	for (int a = 1; a < argc; a++)
		if (!is_known(argv[a]))
			return usage(argv[a]);
	for (size_t i = 0; i < COUNT(scenarios); i++) {
		bool asked = argc < 2;

		for (int a = 1; a < argc; a++)
			asked |= !strcmp(argv[a], scenarios[i].name);
		if (!asked)
			continue;
		bodies[n] = scenarios[i].body;
		tests[n] = (struct CMUnitTest){ .name = scenarios[i].name,
						.test_func = run,
						.initial_state = &bodies[n] };
		n++;
	}
	failed = _cmocka_run_group_tests("fence on KVM", tests, n, NULL, NULL);
	printf("kvm: %d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed || !passed;
}
