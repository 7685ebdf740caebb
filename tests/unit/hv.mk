UNIT_TESTS += test_split test_decode test_proto test_check test_foreign_files test_memslots test_channel test_event test_serve test_backend test_backend_attached test_text test_text_loads test_guestmem test_guestmem_heal test_life test_life_loads test_life_model \
	test_run test_enforce test_handle test_exit test_verdicts test_dispatch \
	test_let test_cpu test_vm test_stalled test_fence test_interpose test_probe test_door
test_split_SRCS = tests/unit/test_split.c hv/split.c
test_decode_SRCS = tests/unit/test_decode.c hv/vmx/decode.c
test_proto_SRCS = tests/unit/test_proto.c hv/proto.c
test_check_SRCS = tests/unit/test_check.c hv/check.c
test_memslots_SRCS = tests/unit/test_memslots.c hv/memslots.c hv/split.c
test_channel_SRCS = tests/unit/test_channel.c tests/unit/fake_peer.c hv/channel.c hv/proto.c hv/base.c
test_event_SRCS = tests/unit/test_event.c tests/unit/fake_vcpus.c hv/event.c hv/board.c hv/proto.c
test_serve_SRCS = tests/unit/test_serve.c tests/unit/fake_vcpus.c tests/unit/fake_peer.c hv/serve.c hv/channel.c hv/event.c \
	hv/board.c hv/proto.c
ATTACH_SRCS = tests/unit/fake_vmm.c hv/check.c hv/view.c hv/backend_view.c hv/backend_kvm.c hv/board.c hv/proto.c
test_backend_SRCS = tests/unit/test_backend.c $(ATTACH_SRCS)
# Descriptors of a file system that never answers.
test_foreign_files_SRCS = tests/unit/test_foreign_files.c $(ATTACH_SRCS)
test_backend_attached_SRCS = tests/unit/test_backend_attached.c $(ATTACH_SRCS)
# Sealed memory and text without KVM: the gate and the vCPUs are a fake.
TEXT_SRCS = tests/unit/fake_vcpus.c hv/board.c hv/text.c hv/guestmem.c hv/memslots.c hv/split.c patch/judge.c
test_text_SRCS = tests/unit/test_text.c tests/unit/fake_text.c $(TEXT_SRCS)
test_text_loads_SRCS = tests/unit/test_text_loads.c tests/unit/fake_text.c $(TEXT_SRCS)
GUESTMEM_SRCS = tests/unit/fake_slots.c tests/unit/fake_vcpus.c hv/board.c hv/guestmem.c hv/memslots.c hv/split.c hv/seal.c
test_guestmem_SRCS = tests/unit/test_guestmem.c $(GUESTMEM_SRCS)
test_guestmem_heal_SRCS = tests/unit/test_guestmem_heal.c $(GUESTMEM_SRCS)
LIFE_SRCS = tests/unit/fake_life.c hv/life.c hv/life_table.c hv/seal.c hv/watch.c $(TEXT_SRCS)
test_life_SRCS = tests/unit/test_life.c $(LIFE_SRCS)
test_life_loads_SRCS = tests/unit/test_life_loads.c $(LIFE_SRCS)
# Each order of steps that the fence's threads, the VMM, the guest and the monitor can take.
test_life_model_SRCS = tests/unit/test_life_model.c tests/unit/life_model.c tests/unit/life_state.c hv/life_table.c
# UBSan alone: these are the test's model, none of it the product's, and go through millions of states.
$(addprefix $(O)/san/tests/unit/,test_life_model.o life_model.o life_state.o): SAN = -g1 -O2 -fsanitize=undefined -fno-sanitize-recover=all
# What stands above the parts: all of them are made up in the test.
test_run_SRCS = tests/unit/test_run.c hv/run.c
test_enforce_SRCS = tests/unit/test_enforce.c hv/enforce.c
test_handle_SRCS = tests/unit/test_handle.c hv/handle.c
test_exit_SRCS = tests/unit/test_exit.c hv/vmx/exit.c hv/vmx/decode.c
test_verdicts_SRCS = tests/unit/test_verdicts.c hv/vmx/enforce.c
test_dispatch_SRCS = tests/unit/test_dispatch.c hv/vmx/dispatch.c
test_let_SRCS = tests/unit/test_let.c hv/vmx/let.c
test_cpu_SRCS = tests/unit/test_cpu.c hv/vmx/cpu.c
test_vm_SRCS = tests/unit/test_vm.c tests/unit/fake_vcpus.c hv/vmx/vm.c hv/vmx/msr.c
test_stalled_SRCS = tests/unit/test_stalled.c tests/unit/fake_vcpus.c hv/vmx/tables.c hv/vmx/cr.c
test_fence_SRCS = tests/unit/test_fence.c hv/fence.c hv/known.c hv/vmx/known.c
test_interpose_SRCS = tests/unit/test_interpose.c hv/interpose.c $(DOOR_SRCS)
test_probe_SRCS = tests/unit/test_probe.c hv/vmx/probe.c
test_door_SRCS = tests/unit/test_door.c $(DOOR_SRCS)
# The host's control-register watch, and who serves it to others, with the kernel's own objects where this is root.
UNIT_TESTS += test_crwatch test_watch_serve test_watch_entered test_watch_held test_watch_found
FAKE_WATCH = tests/unit/fake_bpffs.c tests/unit/fake_crwatch.c $(filter-out hv/bpf/proof.c,$(CRWATCH_SRCS))
test_crwatch_SRCS = tests/unit/test_crwatch.c $(FAKE_WATCH)
WATCH_SRCS = tests/unit/watch_actors.c cli/watch_serve.c cli/watch_close.c cli/watch_keep.c cli/watch_found.c cli/watch_ask.c cli/watch_link.c cli/let_go.c hv/proto.c $(FAKE_WATCH)
test_watch_serve_SRCS = tests/unit/test_watch_serve.c $(WATCH_SRCS)
test_watch_entered_SRCS = tests/unit/test_watch_entered.c $(WATCH_SRCS)
test_watch_held_SRCS = tests/unit/test_watch_held.c $(WATCH_SRCS)
test_watch_found_SRCS = tests/unit/test_watch_found.c $(WATCH_SRCS)
$(O)/tests/test_crwatch $(O)/tests/test_watch_serve $(O)/tests/test_watch_entered $(O)/tests/test_watch_held $(O)/tests/test_watch_found: $(O)/obj/hv/bpf/cr.o
