FUZZERS += fuzz_proto fuzz_view fuzz_decode
fuzz_proto_SRCS = tests/fuzz/fuzz_proto.c hv/check.c hv/view.c hv/backend_kvm.c hv/proto.c
fuzz_view_SRCS = tests/fuzz/fuzz_view.c hv/check.c hv/view.c
fuzz_decode_SRCS = tests/fuzz/fuzz_decode.c hv/vmx/decode.c
FUZZERS += fuzz_decode_arm64
fuzz_decode_arm64_SRCS = tests/fuzz/fuzz_decode_arm64.c hv/arm64/decode.c
