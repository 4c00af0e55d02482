# SPDX-License-Identifier: Apache-2.0
# Programs of `make bench` that make links and send packets: docs/bench-net.md.

BENCH_NET_COMMON := bench_say benchkit flows pairw worldw
BENCH_NET_LIBS := $(call libs,$(DEPS_dataplane) netlink ctl)
bench_objs = $(patsubst %,$(BUILD)/obj/tests/bench/%.o,$(1))

$(BUILD)/tests/bench/bench_packets: $(call bench_objs,bench_packets podpair rivals $(BENCH_NET_COMMON))
$(BUILD)/tests/bench/bench_cni: $(call bench_objs,bench_cni cnibed cniagent cnicall $(BENCH_NET_COMMON))
$(BUILD)/tests/bench/bench_packets $(BUILD)/tests/bench/bench_cni: $(BENCH_NET_LIBS)
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(BENCH_NET_LIBS) -Wl,--end-group $(EXT_dataplane) $(EXT_netlink)

# Static like the plugin that it is compared with: the start of a process is part of both.
$(BUILD)/tests/bench/cni_floor: $(call bench_objs,cni_floor)
	@mkdir -p $(@D)
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(if $(SANITIZE),$(LDFLAGS),$(filter-out -pie,$(LDFLAGS)) -static-pie) -o $@ $^

# The newest reference plugins, where Go and its module proxy are at hand; the bench tells what it left out.
BENCH_CNI_NEW := $(BUILD)/tests/bench/cni-new
BENCH_CNI_PKG := github.com/containernetworking/plugins/plugins
$(BENCH_CNI_NEW)/host-local: tests/bench/go-cni/go.mod tests/bench/go-cni/go.sum
	@mkdir -p $(@D)
	@echo "  GO    $(BENCH_CNI_PKG)"
	$(Q)cd tests/bench/go-cni && GOTOOLCHAIN=local GOWORK=off GOFLAGS="-mod=readonly -buildvcs=false" CGO_ENABLED=0 \
		go build -trimpath -ldflags "-s -w" -o $(abspath $(@D))/ \
		$(BENCH_CNI_PKG)/main/ptp $(BENCH_CNI_PKG)/main/bridge $(BENCH_CNI_PKG)/ipam/host-local
.PHONY: bench-cni-new
bench-cni-new:
	-@$(if $(shell command -v go),$(MAKE) --no-print-directory $(BENCH_CNI_NEW)/host-local,echo "  no go: the newest reference plugins are left out")

BENCH_NET := $(patsubst %,$(BUILD)/tests/bench/%,bench_cni bench_packets cni_floor)
# Debian's reference plugins; what cannot be installed is told by the run itself.
.PHONY: bench-cni-deb
bench-cni-deb:
	@tools/apt-deps containernetworking-plugins || true

.PHONY: bench-net-build
bench-net-build: bench-cni-deb $(BENCH_NET) $(BUILD)/ripstop-cni $(BUILD)/ripstop-agent bench-cni-new
