# SPDX-License-Identifier: Apache-2.0
# What `make bench` runs.

$(BUILD)/tests/bench/bench_control: $(patsubst %,$(BUILD)/obj/tests/bench/%.o,bench_control worldw) $(call libs,$(DEPS_dataplane))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,$(DEPS_dataplane)) -Wl,--end-group $(EXT_dataplane)
