# SPDX-License-Identifier: Apache-2.0
# Programs of the netns circle: real packets between network namespaces.

PROBER_SRCS := $(sort $(wildcard tests/support/prober*.c))
$(BUILD)/tests/prober: $(patsubst %.c,$(BUILD)/obj/%.o,$(PROBER_SRCS))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^

# The tests' external IPAM plugin, in the folder that CNI_PATH names.
$(BUILD)/tests/cni/staticipam: $(BUILD)/obj/tests/support/staticipam.o
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -ljson-c

$(BUILD)/tests/yaml2json: $(BUILD)/obj/tests/support/yaml2json.o
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lyaml -ljson-c

# Reads an nft table back and walks packets through it, for test_ruleset.py.
$(BUILD)/tests/ruleset_tool: $(BUILD)/obj/tests/support/ruleset_tool.o $(call libs,$(DEPS_ruleset))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(call libs,$(DEPS_ruleset)) -Wl,--end-group $(EXT_ruleset)

NETNS_TOOLS := $(BUILD)/tests/ruleset_tool $(BUILD)/tests/prober $(BUILD)/tests/cni/staticipam $(BUILD)/tests/yaml2json
EXTRA_TEST_BINS += $(NETNS_TOOLS)
.PHONY: netns-tools
netns-tools: $(NETNS_TOOLS)

# The nft dataplane against the real kernel, without plugin and agent.
$(BUILD)/tests/netns/nft_kernel: $(patsubst %,$(BUILD)/obj/tests/netns/%.o,nft_kernel nft_bed nft_check nft_packets nft_hard nft_records nft_owner nft_stale nft_ledger nft_quiet) \
		$(call libs,$(DEPS_dataplane))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -Wl,--wrap=rs_nft_watch_member -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,$(DEPS_dataplane)) -Wl,--end-group $(EXT_dataplane)
EXTRA_TEST_BINS += $(BUILD)/tests/netns/nft_kernel

# The eBPF dataplane against the real kernel, likewise.
$(BUILD)/tests/netns/ebpf_kernel: $(patsubst %,$(BUILD)/obj/tests/netns/%.o,ebpf_kernel ebpf_state ebpf_counts ebpf_sources ebpf_tc ebpf_stand ebpf_bed nft_bed nft_check nft_packets nft_hard nft_records) \
		$(call libs,$(DEPS_dataplane))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,$(DEPS_dataplane)) -Wl,--end-group $(EXT_dataplane)
EXTRA_TEST_BINS += $(BUILD)/tests/netns/ebpf_kernel

# Its programs and the second reading of its maps, by random packets.
$(BUILD)/tests/netns/ebpf_maps: $(BUILD)/obj/tests/netns/ebpf_maps.o $(BUILD)/obj/tests/prove/bpfwalk.o \
		$(call libs,$(DEPS_dataplane) ruleset)
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,$(DEPS_dataplane) ruleset) -Wl,--end-group $(EXT_dataplane)
EXTRA_TEST_BINS += $(BUILD)/tests/netns/ebpf_maps

# What the verifier says of its programs, on this kernel.
$(BUILD)/tests/netns/bpf_stats: $(BUILD)/obj/tests/netns/bpf_stats.o $(call libs,$(DEPS_dataplane))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,$(DEPS_dataplane)) -Wl,--end-group $(EXT_dataplane)
EXTRA_TEST_BINS += $(BUILD)/tests/netns/bpf_stats
.PHONY: bpf-stats
bpf-stats: $(BUILD)/tests/netns/bpf_stats ## what this kernel's verifier says of the eBPF programs (root)
	@$<

# The same table read back by lib/ruleset: walks and packets agree.
$(BUILD)/tests/netns/nft_ruleset: $(patsubst %,$(BUILD)/obj/tests/netns/%.o,nft_ruleset nft_bed nft_check) \
		$(call libs,$(DEPS_dataplane) ruleset)
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,$(DEPS_dataplane) ruleset) -Wl,--end-group $(EXT_dataplane)
EXTRA_TEST_BINS += $(BUILD)/tests/netns/nft_ruleset

# Mixed numbers (F6): compiler and dataplane under a flood. `make check` runs a few batches.
$(BUILD)/tests/netns/nft_numbers: $(patsubst %,$(BUILD)/obj/tests/netns/%.o,nft_numbers ebpf_bed nft_bed nft_check) \
		$(call libs,$(DEPS_dataplane))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,$(DEPS_dataplane)) -Wl,--end-group $(EXT_dataplane)
EXTRA_TEST_BINS += $(BUILD)/tests/netns/nft_numbers

# One policy swapped for another under traffic (F12).
$(BUILD)/tests/netns/nft_swap: $(patsubst %,$(BUILD)/obj/tests/netns/%.o,nft_swap nft_bed nft_check) \
		$(call libs,$(DEPS_dataplane))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,$(DEPS_dataplane)) -Wl,--end-group $(EXT_dataplane)
EXTRA_TEST_BINS += $(BUILD)/tests/netns/nft_swap

BATCHES ?= 100000
BEDS ?= 2
.PHONY: prove-numbers
prove-numbers: $(BUILD)/tests/netns/nft_numbers ## commit BATCHES (100000) batches under forbidden packets
	$(Q)$< $(BATCHES) $(BEDS)
