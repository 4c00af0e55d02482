# SPDX-License-Identifier: Apache-2.0
# The netns circle's chosen part on Debian's 6.1 and 6.12 kernels, in the emulator (docs/tests.md).

APT_KERNELS := qemu-system-x86 seabios busybox-static kmod libcmocka-dev libcap2-bin iputils-ping iptables ipset ipvsadm
KERNEL ?=

.PHONY: check-kernels
check-kernels: ## a chosen part of netns on kernels 6.1 and 6.12, emulated (KERNEL=6.1 for one); fetches them once
	@tools/apt-deps $(APT_KERNELS) || true # what is missing is said by the run itself
	@$(MAKE) --no-print-directory -j$(JOBS) all $(EXTRA_TEST_BINS)
	@python3 tests/kernels/check_kernels.py --build $(BUILD) $(addprefix --kernel ,$(KERNEL))
