# make mutants: outside of make check. MUTANTS="NAME..." or FOLDERS="hv patch..." picks some; NAMED=1: by the tests alone
# that the tables name.
.PHONY: mutants mutants-test
mutants:
	tests/mutants/run.py $(O) --mutants "$(MUTANTS)" --folders "$(FOLDERS)" $(if $(filter-out 0,$(NAMED)),--named)
mutants-test:
	tests/mutants/run.py $(O) --self-test
