# SPDX-License-Identifier: Apache-2.0
# A real Kubernetes cluster on this machine, in namespaces of its own (docs/tests.md).

APT_CLUSTER := etcd-server containerd runc containernetworking-plugins libseccomp-dev openssl iptables nftables \
	iproute2 procps util-linux busybox-static curl wget netcat-openbsd
SUITE ?= all

.PHONY: check-cluster
check-cluster: ## a real cluster, ourselves installed on it (SUITE=smoke|netpol|faults|all; DATAPLANE=nft|ebpf|auto); needs Go 1.24, builds Kubernetes once
	@NO_START=1 tools/apt-deps $(APT_CLUSTER) || true # what is missing is said by the run itself
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@python3 tests/cluster/check_cluster.py --build $(BUILD) --suite $(SUITE) $(addprefix --dataplane ,$(DATAPLANE))
