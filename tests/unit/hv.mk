UNIT_TESTS += test_split test_decode test_proto test_memslots test_channel test_backend test_text
test_split_SRCS = tests/unit/test_split.c hv/split.c
test_decode_SRCS = tests/unit/test_decode.c hv/vmx/decode.c
test_proto_SRCS = tests/unit/test_proto.c hv/proto.c
test_memslots_SRCS = tests/unit/test_memslots.c hv/memslots.c hv/split.c
test_channel_SRCS = tests/unit/test_channel.c hv/channel.c hv/proto.c
test_backend_SRCS = tests/unit/test_backend.c hv/backend_kvm.c hv/proto.c
# Sealed memory and text without KVM: the gate and the vCPUs are a fake.
TEXT_SRCS = tests/unit/fake_vcpus.c hv/board.c hv/text.c hv/guestmem.c hv/memslots.c hv/split.c patch/judge.c
test_text_SRCS = tests/unit/test_text.c $(TEXT_SRCS)
