# SPDX-License-Identifier: Apache-2.0
# What `make bench` runs; docs/bench.md.

-include tests/bench_net.mk

BENCH_NAMES := cni packets bpf control memory source explain
bench_o = $(patsubst %,$(BUILD)/obj/tests/bench/%.o,$(1))

$(BUILD)/tests/bench/bench_control: $(call bench_o,bench_control control_bed control_worlds bench_say worldw) $(call libs,$(DEPS_dataplane))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -Wl,--wrap=rs_nft_grace_wait -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,$(DEPS_dataplane)) -Wl,--end-group $(EXT_dataplane)

$(BUILD)/tests/bench/bench_source: $(call bench_o,bench_source bench_say) $(call libs,$(DEPS_source))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,$(DEPS_source)) -Wl,--end-group $(EXT_source)

$(BUILD)/tests/bench/bench_world: $(call bench_o,bench_world worldw) $(call libs,$(DEPS_policy))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,$(DEPS_policy)) -Wl,--end-group $(EXT_policy)

$(BUILD)/tests/bench/bench_bpf: $(call bench_o,bench_bpf bench_say benchkit) $(call libs,$(DEPS_dataplane))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,$(DEPS_dataplane)) -Wl,--end-group $(EXT_dataplane)

# Its own memory must be less than that of the program whose peak it tells.
$(BUILD)/tests/bench/peakrss: $(call bench_o,peakrss)
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(filter-out -pie,$(LDFLAGS)) $(if $(SANITIZE),,-static-pie) -o $@ $^

EXTRA_TEST_BINS += $(BUILD)/tests/bench/bench_world
BENCH_BINS := $(patsubst %,$(BUILD)/tests/bench/%,bench_control bench_source bench_bpf peakrss)

# BASELINE=write keeps the figures of this run in tests/bench/baseline.json.
BENCH := tests/bench/bench.py --build $(BUILD) $(if $(filter write,$(BASELINE)),--write-baseline)
BENCH_NET_BUILD := $(if $(wildcard tests/bench_net.mk),bench-net-build)

.PHONY: bench-build
bench-build: all netns-tools $(BENCH_BINS)

.PHONY: bench $(patsubst %,bench-%,$(BENCH_NAMES))
bench: bench-build $(BENCH_NET_BUILD) ## every figure, against its bar; root, an idle machine, 25 minutes (docs/bench.md)
	$(Q)$(BENCH)

$(patsubst %,bench-%,$(BENCH_NAMES)): bench-%: bench-build
	$(Q)$(BENCH) $*

bench-cni bench-packets: $(BENCH_NET_BUILD)
