# SPDX-License-Identifier: Apache-2.0
# How each circle of tests is built. tests/unit/ROOM/test_*.c links ROOM, what ROOM may use, and cmocka.

UNIT_SRCS := $(sort $(wildcard tests/unit/*/test_*.c))
UNIT_BINS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(UNIT_SRCS))

define unit_room
$(BUILD)/tests/unit/$(1)/%: $(BUILD)/obj/tests/unit/$(1)/%.o $$(call libs,$(DEPS_$(1)))
	@mkdir -p $$(@D)
	@$$(if $$(V),,echo "  LD    $$@")
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$< -Wl,--start-group $$(call libs,$(DEPS_$(1))) -Wl,--end-group $$(EXT_$(1)) -lcmocka
.PHONY: unit-$(1)
unit-$(1): $(filter $(BUILD)/tests/unit/$(1)/%,$(UNIT_BINS))
	@set -e; for t in $$^; do echo "== $$$$t"; $$$$t; done
endef
$(foreach r,$(ROOMS),$(eval $(call unit_room,$(r))))
.PRECIOUS: $(BUILD)/obj/%.o

-include tests/golden.mk
-include tests/replay.mk
-include tests/netns.mk
-include tests/source.mk
-include tests/kernels.mk
-include tests/cluster.mk
-include tests/prove.mk
-include tests/bench.mk

.PHONY: tests-build
tests-build: $(UNIT_BINS) $(EXTRA_TEST_BINS)

.PHONY: bench-matrix
bench-matrix: $(BUILD)/ripstop ## time and size of `ripstop matrix` and of its page, against their bars
	@python3 tests/cli/run_html.py --build $(BUILD) --bench

# ---- fuzzers: clang's libFuzzer with the sanitizers, in a build folder of their own --------------
FUZZ_SRCS := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BINS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(FUZZ_SRCS))
FUZZ_FLAGS := -std=gnu17 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
FUZZ_ROOMS := source policy object ctl ipam endpoint netlink base
FUZZ_LIB := $(foreach r,$(FUZZ_ROOMS),$(call srcs,lib/$(r))) $(filter-out plugin/plugin.c,$(call srcs,plugin))
# Of the dataplane what reads bytes of others; the rest needs a kernel.
FUZZ_LIB += lib/dataplane/nft/nflogmsg.c lib/dataplane/nft/tappair.c
FUZZ_OBJS := $(patsubst %.c,build/fuzz/obj/%.o,$(FUZZ_LIB))

build/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	@$(if $(V),,echo "  FUZZ  $<")
	$(Q)clang-14 $(CPPFLAGS) $(subst fuzzer,fuzzer-no-link,$(FUZZ_FLAGS)) -c $< -o $@

build/fuzz/libripstop.a: $(FUZZ_OBJS)
	$(Q)rm -f $@ && ar rcs $@ $^

build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c build/fuzz/libripstop.a
	@$(if $(V),,echo "  FUZZ  $@")
	$(Q)clang-14 $(CPPFLAGS) $(FUZZ_FLAGS) -o $@ $^ -lmnl -lcurl -lyaml -ljson-c -lnl-route-3 -lnl-3

.PHONY: fuzz-build
fuzz-build: $(FUZZ_BINS)
