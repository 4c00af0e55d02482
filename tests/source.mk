# SPDX-License-Identifier: Apache-2.0
# The API source by itself, for tests/source/test_api.py.

$(BUILD)/tests/source/%: $(BUILD)/obj/tests/source/%.o $(call libs,$(DEPS_source))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(call libs,$(DEPS_source)) -Wl,--end-group $(EXT_source)

API_TOOLS := $(BUILD)/tests/source/api_runner $(BUILD)/tests/source/api_bench
EXTRA_TEST_BINS += $(API_TOOLS)
.PHONY: api-tools
api-tools: $(API_TOOLS)
