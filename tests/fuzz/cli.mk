FUZZERS += fuzz_when
fuzz_when_SRCS = tests/fuzz/fuzz_when.c cli/when.c
FUZZERS += fuzz_request
fuzz_request_SRCS = tests/fuzz/fuzz_request.c cli/reload_request.c
FUZZERS += fuzz_export
fuzz_export_SRCS = tests/fuzz/fuzz_export.c tests/unit/export_check.c $(EXPORT_PARTS)
FUZZERS += fuzz_seqs
fuzz_seqs_SRCS = tests/fuzz/fuzz_seqs.c cli/audit_seqs.c
