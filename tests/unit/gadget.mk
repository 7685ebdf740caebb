UNIT_TESTS += test_gadget test_descriptor test_gadgets
GADGET_SRCS = introspection/x86/gadget.c introspection/x86/gadget_decode.c introspection/x86/disasm.c
test_gadget_SRCS = tests/unit/test_gadget.c tests/unit/fake_guest.c $(GADGET_SRCS)
DESCRIPTOR_SRCS = introspection/x86/descriptor.c introspection/x86/descriptor_expect.c
test_descriptor_SRCS = tests/unit/test_descriptor.c tests/unit/fake_guest.c $(DESCRIPTOR_SRCS)
test_gadgets_SRCS = tests/unit/test_gadgets.c tests/unit/fake_guest.c monitor/gadgets.c monitor/cover.c monitor/watched.c $(GADGET_SRCS)
