# SPDX-License-Identifier: Apache-2.0
# The replay circle: registry and reconciler driven by text stories, without a kernel and without a clock.

REPLAY_AGENT := registry records glance relabel join waiters expected reconcile noderanges fence metrics log
REPLAY_OBJS := $(BUILD)/obj/tests/replay/replay_runner.o $(BUILD)/obj/tests/replay/replay_stage.o \
	$(addprefix $(BUILD)/obj/tests/,replay/replay_events.o replay/replay_fresh.o replay/replay_random.o prove/canon.o prove/pv_rng.o) \
	$(patsubst %,$(BUILD)/obj/agent/%.o,$(REPLAY_AGENT))
$(BUILD)/tests/replay/replay_runner: $(REPLAY_OBJS) $(call libs,$(DEPS_agent))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(REPLAY_OBJS) \
		-Wl,--start-group $(call libs,$(DEPS_agent)) -Wl,--end-group $(EXT_dataplane) -lm

EXTRA_TEST_BINS += $(BUILD)/tests/replay/replay_runner
.PHONY: replay
replay: $(BUILD)/tests/replay/replay_runner
	$(Q)$< $(sort $(wildcard tests/replay/*.replay))

# What of the agent is pure, by itself.
UNIT_AGENT := $(patsubst %,$(BUILD)/obj/agent/%.o,noderanges droplog dropfile judged eventbox eventtext)
$(BUILD)/tests/unit/agent/%: $(BUILD)/obj/tests/unit/agent/%.o $(UNIT_AGENT) $(call libs,policy object base)
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(UNIT_AGENT) \
		-Wl,--start-group $(call libs,policy object base) -Wl,--end-group $(EXT_policy) -lcmocka
# With sources of its own.
$(BUILD)/tests/unit/agent/test_origin: $(BUILD)/obj/tests/unit/agent/test_origin.o $(BUILD)/obj/agent/origin.o \
		$(call libs,policy object base)
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,policy object base) -Wl,--end-group $(EXT_policy) -lcmocka
# Against the kernel.
$(BUILD)/tests/unit/agent/test_reaper: $(BUILD)/obj/tests/unit/agent/test_reaper.o \
		$(patsubst %,$(BUILD)/obj/agent/%.o,reaper log) $(call libs,netlink base)
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,netlink base) -Wl,--end-group $(EXT_netlink) -lcmocka
# The registry on a scripted machine, with real files.
GLANCE_OBJS := $(BUILD)/obj/tests/unit/agent/test_glance.o $(patsubst %,$(BUILD)/obj/agent/%.o,$(REPLAY_AGENT))
$(BUILD)/tests/unit/agent/test_glance: $(GLANCE_OBJS) $(call libs,$(DEPS_agent))
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(GLANCE_OBJS) \
		-Wl,--start-group $(call libs,$(DEPS_agent)) -Wl,--end-group $(EXT_dataplane) -lcmocka
.PHONY: unit-agent
unit-agent: $(filter $(BUILD)/tests/unit/agent/%,$(UNIT_BINS))
	@set -e; for t in $^; do echo "== $$t"; $$t; done
