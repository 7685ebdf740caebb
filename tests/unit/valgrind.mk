# make valgrind: the unit tests once more, compiled as the programs are; valgrind-short: those that take it a few seconds each, for
# the check. Those that are too slow for it stand in
# VALGRIND_NOT; test_sandbox, test_door and test_interpose too, as valgrind makes system calls of its own, and code, and test_crwatch, test_watch_serve, test_watch_entered, test_watch_held and test_watch_found, as it does not know all of bpf()'s, and test_safe_path and test_safe_file, as it does not know openat2(2), and test_run_link, as it keeps a limit of descriptors to itself.
# The name of this file sorts behind the other fragments': it takes what they have listed.
VALGRIND_NOT = test_kallsyms test_memslots test_life_model test_tampering test_sandbox test_door test_interpose test_crwatch test_watch_serve test_watch_entered test_watch_held test_watch_found test_safe_path test_safe_file test_run_link \
	test_power_cut test_full_disk test_million test_tampering_signed test_mutated_log test_fold_due
VALGRIND_TESTS = $(filter-out $(VALGRIND_NOT),$(UNIT_TESTS))
.SECONDEXPANSION:
$(VALGRIND_TESTS:%=$(O)/valgrind/%): $(O)/valgrind/%: $$(addprefix $(O)/obj/,$$($$*_SRCS:.c=.o))
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) -pie -o $@ $^ -lcmocka $(PKG_LIBS)

# Three fifths of its time; `make unit` runs the same code under sanitizers.
VALGRIND_LONG = test_verify test_channel test_record test_pair test_outlet test_checkpoint test_backend_attached test_resent_log test_fold test_patchproof test_forged_parts test_clocks test_chain test_kernel test_textpatch_kept \
	test_decoys test_tables test_dump_kdump test_hooks_guard test_textpatch_calls test_resent test_let_go

.PHONY: valgrind valgrind-short
valgrind: $(VALGRIND_TESTS:%=$(O)/valgrind/%)
	tests/run-valgrind $(O) $(VALGRIND_TESTS)
VALGRIND_SHORT = $(filter-out $(VALGRIND_LONG),$(VALGRIND_TESTS))
valgrind-short: $(VALGRIND_SHORT:%=$(O)/valgrind/%)
	tests/run-valgrind $(O) $(VALGRIND_SHORT)
