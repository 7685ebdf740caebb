FUZZERS += fuzz_gadget fuzz_descriptor
fuzz_gadget_SRCS = tests/fuzz/fuzz_gadget.c tests/unit/fake_guest.c introspection/x86/gadget.c \
	introspection/x86/gadget_decode.c introspection/x86/disasm.c
fuzz_descriptor_SRCS = tests/fuzz/fuzz_descriptor.c introspection/x86/descriptor.c
