# SPDX-License-Identifier: Apache-2.0
# The golden circle: tests/golden against IR, oracle, explain and the nft plan, without packets.

GOLDEN_ROOMS := source dataplane policy object base
GOLDEN_OBJS := $(patsubst %,$(BUILD)/obj/tests/support/%.o,golden_runner golden_case)
GOLDEN_BIN := $(BUILD)/tests/golden/golden_runner

$(GOLDEN_BIN): $(GOLDEN_OBJS) $(call libs,$(GOLDEN_ROOMS))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(GOLDEN_OBJS) \
		-Wl,--start-group $(call libs,$(GOLDEN_ROOMS)) -Wl,--end-group $(EXT_dataplane)

EXTRA_TEST_BINS += $(GOLDEN_BIN)
.PHONY: golden golden-update
golden: $(GOLDEN_BIN) ## check the golden cases
	$(Q)$(GOLDEN_BIN) tests/golden

golden-update: $(GOLDEN_BIN) ## rewrite ir*.txt and nft*.txt of the golden cases
	$(Q)$(GOLDEN_BIN) --update tests/golden
