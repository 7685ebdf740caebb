FUZZERS += fuzz_gadget fuzz_descriptor
fuzz_gadget_SRCS = tests/fuzz/fuzz_gadget.c tests/unit/fake_guest.c introspection/gadget.c \
	introspection/gadget_decode.c introspection/disasm.c
fuzz_descriptor_SRCS = tests/fuzz/fuzz_descriptor.c introspection/descriptor.c
