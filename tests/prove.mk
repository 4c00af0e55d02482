# SPDX-License-Identifier: Apache-2.0
# The differential test: tests/prove.

PROVE_ROOMS := ruleset dataplane policy object base
PROVE_EXT := $(EXT_dataplane)
PROVE_MAINS := tests/prove/prove.c tests/prove/history.c tests/prove/gen_dump.c $(wildcard tests/prove/test_*.c)
PROVE_SRCS := $(filter-out $(PROVE_MAINS),$(sort $(wildcard tests/prove/*.c)))
PROVE_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(PROVE_SRCS))
PROVE_BIN := $(BUILD)/tests/prove/prove

$(PROVE_BIN): $(BUILD)/obj/tests/prove/prove.o $(PROVE_OBJS) $(call libs,$(PROVE_ROOMS))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,$(PROVE_ROOMS)) -Wl,--end-group $(PROVE_EXT)

# Random histories of events against a build from scratch.
HISTORY_BIN := $(BUILD)/tests/prove/history
$(HISTORY_BIN): $(BUILD)/obj/tests/prove/history.o $(PROVE_OBJS) $(call libs,$(PROVE_ROOMS))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,$(PROVE_ROOMS)) -Wl,--end-group $(PROVE_EXT)

$(BUILD)/tests/prove/test_prove: $(BUILD)/obj/tests/prove/test_prove.o $(PROVE_OBJS) $(call libs,$(PROVE_ROOMS))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,$(PROVE_ROOMS)) -Wl,--end-group $(PROVE_EXT) -lcmocka

# The generator needs neither a kernel nor the rooms that speak to one.
GEN_ROOMS := policy object base
GEN_OBJS := $(filter $(BUILD)/obj/tests/prove/gen%.o $(BUILD)/obj/tests/prove/morph%.o %/pv_rng.o %/scene.o %/canon.o,$(PROVE_OBJS))

# Prints generated cases, one JSON object a line.
$(BUILD)/tests/prove/gen_dump: $(BUILD)/obj/tests/prove/gen_dump.o $(GEN_OBJS) $(call libs,$(GEN_ROOMS))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,$(GEN_ROOMS)) -Wl,--end-group $(EXT_policy)

$(BUILD)/tests/unit/prove/%: $(BUILD)/obj/tests/unit/prove/%.o $(GEN_OBJS) $(call libs,$(GEN_ROOMS))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,$(GEN_ROOMS)) -Wl,--end-group $(EXT_policy) -lcmocka
.PHONY: unit-prove
unit-prove: $(filter $(BUILD)/tests/unit/prove/%,$(UNIT_BINS))
	@set -e; for t in $^; do echo "== $$t"; $$t; done

EXTRA_TEST_BINS += $(PROVE_BIN) $(HISTORY_BIN) $(BUILD)/tests/prove/test_prove $(BUILD)/tests/prove/gen_dump

CASES ?= 20000
SEED ?= 1
PACKETS ?= $(shell echo $$(($(CASES) / 50)))
# Half a second each.
HISTORIES ?= $(shell echo $$(($(CASES) / 1000 + 20)))
PROVE_JOBS ?= $(or $(JOBS),$(shell nproc))

.PHONY: prove
prove: all $(PROVE_BIN) $(HISTORY_BIN) $(NETNS_TOOLS) ## differential test: CASES=N SEED=S PACKETS=N HISTORIES=N JOBS=n (root)
	$(Q)$(PROVE_BIN) --cases $(CASES) --seed $(SEED) --jobs $(PROVE_JOBS) --out $(BUILD)/prove
	$(Q)$(HISTORY_BIN) --histories $(HISTORIES) --seed $(SEED) --jobs $(PROVE_JOBS)
	$(Q)if [ $(PACKETS) -gt 0 ]; then \
		mkdir -p $(BUILD)/prove; \
		$(PROVE_BIN) --export-packets $(BUILD)/prove/packets.jsonl --packets $(PACKETS) --seed $(SEED) && \
		python3 tests/prove/packets.py --build $(BUILD) $(BUILD)/prove/packets.jsonl; \
	fi

.PHONY: prove-ebpf
prove-ebpf: $(PROVE_BIN) ## CASES flows of random clusters through the eBPF programs, against oracle and IR (root)
	$(Q)$(PROVE_BIN) --cases $(CASES) --seed $(SEED) --jobs $(PROVE_JOBS) --out $(BUILD)/prove --readers oracle,ir,ebpf

# A finding of `make prove`, or any folder like it, becomes a golden case.
.PHONY: golden-add
golden-add: $(GOLDEN_BIN) ## keep a finding: FROM=build/rel/prove/mismatch-S-I NAME=b12-...
	$(Q)test -n "$(NAME)" -a ! -e "tests/golden/$(NAME)" || { echo "golden-add: NAME= of a new case"; exit 1; }
	$(Q)cp -r "$(FROM)" "tests/golden/$(NAME)"
	$(Q)$(GOLDEN_BIN) --update tests/golden "$(NAME)"
