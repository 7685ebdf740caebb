/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the scenarios share. Each is one function in a fence_*.c and one line in test_fence_kvm.c. */
#ifndef RF_TESTS_KVM_SCENARIO_H
#define RF_TESTS_KVM_SCENARIO_H

#include "tests/kvm/machine.h"
#include "tests/kvm/monitor.h"

#define LSTAR 0xc0000082u
#define KERNEL_ENTRY UINT64_C(0xffffffff81000040)
#define PATTERN(gpa) (UINT64_C(0x5a00000000000000) | (gpa)) /* what stands in sealed memory */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Asks for protection, as `ringfence run` would. */
void ask(void);
/* A monitor and a machine of that many vCPUs that asked for it. */
void protected_machine(unsigned cpus);
/* vCPU 0 writes LSTAR and is held for the verdict: the id of its event, the n-th. */
uint64_t kernel_starts(unsigned n);
/* The verdict: it runs on to its end. */
void kernel_goes_on(uint64_t kernel);
/* protected_machine(), a kernel, patterned memory, SEALED and OTHER sealed. The kernel's id. */
uint64_t sealed_machine(unsigned cpus);
/* The same with a LAPIC of KVM's, where HLT is no exit, and one vCPU. */
uint64_t sealed_with_lapic(void);
extern const struct rf_region both_regions[2];
int seal_both(uint64_t kernel);
/* The same where they were sealed before: a kernel that was booted anew. */
int seal_both_fresh(uint64_t kernel);
void fill_pattern(void);
/* The fence's copy of sealed memory, NULL where it has none. */
uint8_t *sealed_copy(uint64_t gpa);
/* The guest, the copy and the VMM's memory all still hold the pattern there. */
void check_pattern(struct cpu *c, uint64_t gpa);

/* Judges: every store is refused, as a #PF on the instruction the vCPU's code starts with. */
bool deny_at_code(const struct rf_msg_event *ev, struct rf_msg_verdict *v);
bool allow(const struct rf_msg_event *ev, struct rf_msg_verdict *v);
/* For a judge that denies: a #GP on the instruction the vCPU stands at. */
void fault_where_it_is(const struct rf_msg_event *ev, struct rf_msg_verdict *v);
/* Registers that deny_at_code() gives back. */
extern struct kvm_regs before;

/* A store there ends in a #PF, and the guest sees there what it saw before. Leaves no judge. */
void store_is_denied(struct cpu *c, uint64_t gpa);
/* As VMLOAD has it, or a guest of the guest's: past every filter, and past the fence. */
void guest_has_msr(struct cpu *c, uint32_t index, uint64_t value);
/* The registers of that kernel's vCPUs are compared so often. */
void compare_every(uint64_t kernel, uint32_t ms);
/* Waits, up to some seconds, until the guest has changed the eight bytes there. */
void await_change(uint64_t gpa, uint64_t from);
/* The body in a process of its own, which must be ended by the fence with these words on stderr. */
void ends_the_vm(void (*body)(void), const char *said);

typedef void scenario(void);
/* fence_start.c */
scenario hidden_memory;
scenario not_asked, no_monitor, foreign_monitor, other_revision, refusing_monitor, second_vm;
scenario lstar_not_canonical, sealed_for_no_address;
scenario capabilities, lstar_allowed, lstar_denied, kernel_id_survives_a_denied_write;
/* fence_pass.c */
scenario vmm_msr_exits;
scenario signal_of_the_vmm, thread_changes, interrupted_says_so;
scenario exits_pass, vmm_msr_filter, vmm_msr_filter_with_exits, vmm_debugs, signal_mask, vmm_kicks;
scenario devices_over_sealed;
/* fence_watch.c */
scenario watch_hits, watch_neighbours_1, watch_neighbours_2, watch_neighbours_4, watch_rules;
scenario seal_under_load;
/* fence_stores.c */
scenario denied_stores, denied_crossing, denied_unemulated, allowed_store, killed;
scenario across_regions, user_mode_unemulated, interrupt_beside_a_question;
/* fence_memory.c */
scenario dirty_log, vmm_changes_slots, vmm_writes_its_memory, cpu_added_later, reset_releases, sealed_again;
/* fence_traps.c */
scenario trap_moved, tables_judged_by_traps, tables_loaded_meanwhile, tables_of_another_kernel;
scenario traps_planted, traps_refused, trap_allowed, trap_denied, trap_control_registers;
scenario trap_elsewhere, trap_held, tables_compared, tables_loaded_beside, tables_compared_spinning;
scenario msrs_compared, mended;
/* fence_poke.c */
scenario kexec_leaves_behind;
scenario text_poked, patch_dropped, patch_called_legal, poke_rules, kexec_denied, kexec_let, kexec_keeps;
/* fence_monitor.c */
scenario monitor_dies_before_verdict, monitor_restarts_sealed, stale_seals, reset_while_held;
scenario reset_while_kernel_held;
/* fence_pins.c */
scenario pinned_sysenter, filter_denies_ours, filter_denies_the_kernel;
scenario pinned_msr, pinned_bits, asked_msr, pin_rules, pins_beside_a_filter, reset_unpins;
/* fence_cr.c */
scenario cr_cleared_while_stepping, cr_cleared_and_stepped;
scenario cr_put_back, cr_put_back_late, cr_lost_signal, cr_observed, cr_compared, cr_rules, cr_bad_page;
/* fence_life.c */
scenario lstar_zero_put_back, part_of_a_reset, reset_beside_a_running_cpu, plugged_cpu_reset;
scenario restored_waits, restored_beside_zero, restored_nobody, restored_in_smm, restored_denied;
scenario restored_twice, resets_while_announced, kept_until_another, kept_and_bounds_beside_it, fifty_seals, alone_in_reset;
scenario looks_like_reset, told_in_order;
/* fence_device.c */
scenario log_of_another_slot;
scenario healed_by_command, healed_by_dirty_log, healed_when_stopped, heals_hide_traps, two_backends;
/* fence_text.c */
scenario denied_half_way;
scenario settle_without_entry, settle_ends, settle_with_entry, restore_beside_denied_lstar;
scenario restore_with_all_held, probe_over_trap, observed_over_trap, reload_adopted;
scenario reload_misfits, reload_is_not_healed, table_changes_meanwhile, settled_by_two;
/* fence_rules.c */
scenario observed_lstar, exit_before_tables, rules_forbid_stores, rules_forbid_kexec;
scenario rules_let_kexec, rules_of_the_first, monitor_does_not_read, questions_wait_for_room;
scenario unsealed_told_once, unsealed_none;
/* fence_known.c */
scenario refusals_stand;
scenario refused_ioctls, unknown_ioctls, unknown_capabilities, userfaultfd_refused;
scenario passed_ioctls;
/* fence_combined.c */
scenario pat_of_a_fresh_cpu;
scenario msrs_found_again;
scenario filter_denies_by_default, pin_without_room, efer_as_cpuid_has_it, all_made_again;
scenario watch_races_seal, cut_under_load, lldt_of_a_process;
/* fence_kinds.c */
scenario neighbours_for_the_guest, store_runs_into_device, tables_stored_into_sealed;
scenario frame_on_sealed_stack, interrupt_on_sealed_stack, push_on_sealed_stack;
/* fence_woken.c */
scenario woken_half_way, woken_without_control_bits, unsealed_through_resets, unplugged_cpu;
/* fence_told.c */
scenario unsealed_beside_no_paging, stalled_where_it_looped, rules_forbid_another_entry, lstar_behind_another_msr;
/* fence_halted.c */
scenario halted_without_fence, halted_and_interrupted, halted_beside_a_question;
/* fence_looks.c */
scenario found_beside_a_slow_device, found_though_it_halts;

#endif
