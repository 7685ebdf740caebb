UNIT_TESTS += test_pagetable
test_pagetable_SRCS = tests/unit/test_pagetable.c tests/unit/synth.c introspection/pagetable.c
