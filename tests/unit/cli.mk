# The ringfence command against bad input: needs no guest, but /dev/kvm for the cases that start something.
.PHONY: cli-test
cli-test: $(O)/ringfence
	tests/cli/run.sh $(O)
