# SPDX-License-Identifier: Apache-2.0
# Targets around the build: deps, demo, check, install, formatting, house rules.

APT_BUILD := gcc make pkg-config libc6-dev linux-libc-dev libnl-3-dev libnl-route-3-dev libnftnl-dev \
	libmnl-dev libjson-c-dev libyaml-dev libevent-dev uthash-dev libsmartcols-dev libcurl4-openssl-dev zlib1g-dev \
	clang-14 llvm-14 libbpf-dev iproute2 nftables openssl procps python3-minimal libpython3-stdlib scdoc
APT_CHECK := libcmocka-dev bpftool libclang-rt-14-dev clang-format-14 libcap2-bin util-linux iputils-ping \
	iptables chromium chromium-driver tmux groff-base

.PHONY: deps
deps: ## install what build and demo need (and, with `check`, what the tests need); Debian, as root
	@tools/apt-deps $(APT_BUILD) $(if $(filter check check-%,$(MAKECMDGOALS)),$(APT_CHECK))
ifneq ($(filter deps,$(MAKECMDGOALS)),)
# pkg-config was asked before the packages were there: build in a second make, with fresh answers.
GOALS_AFTER_DEPS := $(filter-out deps,$(MAKECMDGOALS))
ifneq ($(GOALS_AFTER_DEPS),)
.PHONY: $(GOALS_AFTER_DEPS)
$(GOALS_AFTER_DEPS): deps
	@$(MAKE) --no-print-directory $@
SECOND_MAKE := 1
endif
endif

ifeq ($(SECOND_MAKE),)
JOBS ?= $(shell nproc)

.PHONY: demo
demo: ## policy enforced on real packets, in network namespaces (root)
	@$(MAKE) --no-print-directory -j$(JOBS) all $(BUILD)/tests/prober $(BUILD)/tests/golden/golden_runner
	@python3 tools/demo.py --build $(BUILD)

.PHONY: check
check: ## every circle of tests; DATAPLANE=nft|ebpf|ebpf-tc limits the netns circle to one
	@tests/check --jobs $(JOBS) $(if $(DATAPLANE),--dataplane $(DATAPLANE))

.PHONY: mutants
mutants: ## break compiler and rules on purpose, one mistake at a time: the tests must notice each
	@python3 tests/mutants/mutants.py

.PHONY: check-layers
check-layers: ## includes point downward only; base names are unique; headers stand alone
	@tools/check-layers

.PHONY: lint
lint: check-layers ## house rules: formatting, banned calls, file and header forms
	@tools/check-house

.PHONY: fmt
fmt: ## format the C sources
	@clang-format-14 -i $(shell git ls-files '*.c' '*.h')

.PHONY: man
man: $(BUILD)/ripstop $(BUILD)/kubectl-ripstop $(BUILD)/ripstop-agent ## man pages, from the programs' tables, into build/man
	@tools/mkman.py --build $(BUILD) --out build/man

MANDIR ?= $(PREFIX)/share/man
# Without scdoc everything but the man pages is installed.
MAN := $(if $(shell command -v scdoc),man)

COMPLETIONS := bash:share/bash-completion/completions/ripstop zsh:share/zsh/vendor-completions/_ripstop \
	fish:share/fish/vendor_completions.d/ripstop.fish kubectl:bin/kubectl_complete-ripstop

# `make install STRIP=` keeps the debugging symbols.
STRIP ?= -s

.PHONY: install
install: all $(MAN) ## install to DESTDIR (PREFIX, CNIBINDIR, CNICONFDIR, SYSCONFDIR, UNITDIR)
	install -D $(STRIP) -m 0755 $(BUILD)/ripstop-cni $(DESTDIR)$(CNIBINDIR)/ripstop
	install -D $(STRIP) -m 0755 $(BUILD)/ripstop-agent $(DESTDIR)$(PREFIX)/bin/ripstop-agent
	install -D $(STRIP) -m 0755 $(BUILD)/ripstop $(DESTDIR)$(PREFIX)/bin/ripstop
	install -D $(STRIP) -m 0755 $(BUILD)/kubectl-ripstop $(DESTDIR)$(PREFIX)/bin/kubectl-ripstop
	install -d -m 0755 $(DESTDIR)$(SYSCONFDIR)/ripstop/manifests.d
	@# A configuration that an operator has edited is never overwritten.
	test -e $(DESTDIR)$(SYSCONFDIR)/ripstop/ripstop.conf || \
		install -D -m 0644 tools/ripstop.conf $(DESTDIR)$(SYSCONFDIR)/ripstop/ripstop.conf
	test -e $(DESTDIR)$(CNICONFDIR)/05-ripstop.conflist || \
		install -D -m 0600 tools/05-ripstop.conflist $(DESTDIR)$(CNICONFDIR)/05-ripstop.conflist
	install -d -m 0755 $(DESTDIR)$(UNITDIR)
	sed 's|@BINDIR@|$(PREFIX)/bin|' tools/ripstop-agent.service > $(DESTDIR)$(UNITDIR)/ripstop-agent.service
	chmod 0644 $(DESTDIR)$(UNITDIR)/ripstop-agent.service
	@# Not where systemd reads it: who wants the eBPF dataplane puts it there.
	install -D -m 0644 tools/ripstop-agent-ebpf.conf $(DESTDIR)$(PREFIX)/share/ripstop/ripstop-agent-ebpf.conf
	for file in $(COMPLETIONS); do install -d $(DESTDIR)$(PREFIX)/$$(dirname $${file#*:}) && \
		$(BUILD)/ripstop completion $${file%%:*} >$(DESTDIR)$(PREFIX)/$${file#*:} || exit 1; done
	chmod 0755 $(DESTDIR)$(PREFIX)/bin/kubectl_complete-ripstop
	@$(if $(MAN),,echo "install: no scdoc here, so no man pages")
	$(if $(MAN),for page in build/man/*; do \
		install -D -m 0644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit 1; done)

.PHONY: image
image: all ## OCI archive of agent, plugin and command line, from no base image: build/rel/ripstop-image.tar
	@tools/mkimage.py --build $(BUILD)

.PHONY: uninstall
uninstall: ## remove what install put there (configuration that was edited stays)
	rm -f $(DESTDIR)$(CNIBINDIR)/ripstop $(DESTDIR)$(PREFIX)/bin/ripstop-agent $(DESTDIR)$(PREFIX)/bin/ripstop
	rm -f $(DESTDIR)$(PREFIX)/bin/kubectl-ripstop $(DESTDIR)$(MANDIR)/man1/ripstop.1 $(DESTDIR)$(MANDIR)/man1/ripstop-*.1
	for file in $(COMPLETIONS); do rm -f $(DESTDIR)$(PREFIX)/$${file#*:}; done
	rm -f $(DESTDIR)$(MANDIR)/man1/kubectl-ripstop.1 $(DESTDIR)$(MANDIR)/man5/ripstop.conf.5 $(DESTDIR)$(MANDIR)/man8/ripstop-*.8
	rm -f $(DESTDIR)$(UNITDIR)/ripstop-agent.service $(DESTDIR)$(PREFIX)/share/ripstop/ripstop-agent-ebpf.conf
	rmdir $(DESTDIR)$(PREFIX)/share/ripstop 2>/dev/null || true
	cmp -s tools/05-ripstop.conflist $(DESTDIR)$(CNICONFDIR)/05-ripstop.conflist && \
		rm -f $(DESTDIR)$(CNICONFDIR)/05-ripstop.conflist || true
	cmp -s tools/ripstop.conf $(DESTDIR)$(SYSCONFDIR)/ripstop/ripstop.conf && \
		rm -f $(DESTDIR)$(SYSCONFDIR)/ripstop/ripstop.conf || true
	rmdir $(DESTDIR)$(SYSCONFDIR)/ripstop/manifests.d $(DESTDIR)$(SYSCONFDIR)/ripstop 2>/dev/null || true

.PHONY: clean
clean: ## remove build/ (build/cache stays)
	rm -rf build/rel build/san build/fuzz build/man

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile tools/house.mk tests/*.mk | sort | \
		sed 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/' | expand -t 18
	@echo; echo "  V=1 shows commands; SANITIZE=address,undefined builds into build/san; DESTDIR, PREFIX, CNIBINDIR, CNICONFDIR for install; CURL=shared for libcurl.so."
endif
