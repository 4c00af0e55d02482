# SPDX-License-Identifier: Apache-2.0
# Ripstop. `make help` lists the targets; everything that is made lies under build/.

VERSION := $(shell cat VERSION)
SANITIZE ?=
BUILD ?= build/$(if $(SANITIZE),san,rel)
PREFIX ?= /usr
SYSCONFDIR ?= /etc
CNIBINDIR ?= /opt/cni/bin
CNICONFDIR ?= /etc/cni/net.d
UNITDIR ?= $(PREFIX)/lib/systemd/system
DESTDIR ?=
V ?=
Q := $(if $(V),,@)

CC = gcc
PKG_CONFIG = pkg-config
PKGS := libnl-3.0 libnl-route-3.0 libnftnl libmnl json-c yaml-0.1 libevent smartcols libcurl zlib
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)

WARN := -Wall -Wextra -Werror -Wformat=2 -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wpointer-arith -Wwrite-strings -Wvla -Wundef -Wcast-align \
	-Wimplicit-fallthrough -Wnull-dereference -Wno-format-nonliteral
# Fortify needs optimisation and fights the sanitizers, so those builds go without it.
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fno-strict-overflow \
	-fno-delete-null-pointer-checks -ftrivial-auto-var-init=zero
ifeq ($(SANITIZE),)
OPT := -O2 -g -D_FORTIFY_SOURCE=2
SANFLAGS :=
else
OPT := -O1 -g -fno-omit-frame-pointer
SANFLAGS := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
endif
CPPFLAGS += -D_GNU_SOURCE -DRIPSTOP_VERSION='"$(VERSION)"' -Iinclude -Ilib -I. $(PKG_CFLAGS)
CFLAGS += -std=gnu17 -fPIE $(OPT) $(WARN) $(HARDEN) $(SANFLAGS) -ffunction-sections -fdata-sections
LDFLAGS += -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--gc-sections $(SANFLAGS)

# ---- libcurl: from its archive, without the libraries of what it is never asked for ---------------
# (docs/decisions/0012). Only with OpenSSL, and in versions whose calls of these libraries were read;
# any other is linked as it comes. `make CURL=shared BUILD=build/shared` asks for that.
CURL_READ := 7.88.1 8.14.1
CURL_OPENSSL := -l:libssl.so.3 -l:libcrypto.so.3
found = $(wildcard $(shell $(CC) -print-file-name=$(1) 2>/dev/null))
CURL_ARCHIVE := $(call found,libcurl.a)
CURL ?= $(if $(and $(CURL_ARCHIVE),$(call found,libssl.so.3),$(call found,libcrypto.so.3),$(filter $(CURL_READ),$(shell \
	$(PKG_CONFIG) --modversion libcurl 2>/dev/null)),$(filter -lssl,$(shell \
	$(PKG_CONFIG) --static --libs-only-l libcurl 2>/dev/null))),archive,shared)
CURL := $(CURL)
CURL_CALLS := $(BUILD)/lib/curlcalls.inc
CURL_ROOM := $(if $(filter archive,$(CURL)),curl)

$(BUILD)/lib/libcurl.a: $(CURL_ARCHIVE) tools/curl-absent
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CURL  $@")
	$(Q)OBJCOPY=$(shell $(CC) -print-prog-name=objcopy) NM=$(shell $(CC) -print-prog-name=nm) \
		tools/curl-absent $< $@ $(CURL_CALLS)

ifneq ($(CURL_ROOM),)
$(BUILD)/obj/lib/source/curlabsent.o: $(BUILD)/lib/libcurl.a
$(BUILD)/obj/lib/source/curlabsent.o: CPPFLAGS += -DRS_CURL_CALLS='"$(CURL_CALLS)"'
endif

# ---- libraries: one archive a room of lib/, and what each may use --------------------------------
ROOMS := base object source policy answer dataplane ruleset netlink ipam endpoint inventory ctl
DEPS_base := base
DEPS_object := object base
DEPS_source := source $(CURL_ROOM) object base
DEPS_policy := policy object base
DEPS_answer := answer policy object base
DEPS_dataplane := dataplane policy object base
DEPS_ruleset := ruleset base
DEPS_netlink := netlink base
DEPS_ipam := ipam base
DEPS_endpoint := endpoint base
DEPS_inventory := inventory ipam endpoint base
DEPS_ctl := ctl base
DEPS_plugin := ctl netlink ipam endpoint base
DEPS_agent := answer source $(CURL_ROOM) dataplane policy object ctl netlink inventory ipam endpoint base
DEPS_cli := answer ruleset dataplane inventory ipam endpoint source policy object ctl netlink base
EXT_base :=
EXT_object := -lyaml -ljson-c
EXT_source := $(if $(CURL_ROOM),$(CURL_OPENSSL) -lz,-lcurl) $(EXT_object)
EXT_policy := $(EXT_object)
EXT_answer := $(EXT_object)
EXT_dataplane := -lnftnl -lmnl -lbpf $(EXT_object)
EXT_ruleset := -lmnl
EXT_netlink := -lnl-route-3 -lnl-3 -ljson-c
EXT_ipam := -ljson-c
EXT_endpoint := -ljson-c
EXT_inventory := -ljson-c
EXT_ctl := -ljson-c
EXT_plugin := -ljson-c -lnl-route-3 -lnl-3
EXT_agent := -levent -lm $(EXT_source) $(EXT_dataplane) $(EXT_netlink)
EXT_cli := -lsmartcols -lz $(EXT_netlink) $(EXT_object)

srcs = $(sort $(wildcard $(1)/*.c $(1)/*/*.c))
objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(call srcs,$(1)))
libs = $(patsubst %,$(BUILD)/lib/lib%.a,$(1))

PROGRAMS := $(BUILD)/ripstop-cni $(BUILD)/ripstop-agent $(BUILD)/ripstop $(BUILD)/kubectl-ripstop

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.PHONY: all
all: $(PROGRAMS) ## build the programs

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CC    $<")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

define room
$(BUILD)/lib/lib$(1).a: $(call objs,lib/$(1))
	@mkdir -p $$(@D)
	@$$(if $$(V),,echo "  AR    $$@")
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call room,$(r))))

# Fully static: it runs on hosts whose libraries we do not know. Sanitizers need the dynamic loader.
# --no-warnings: libnl has a parser of host names, which we never call, and ld warns of its getaddrinfo().
$(BUILD)/ripstop-cni: $(call objs,plugin) $(call libs,$(DEPS_plugin))
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(if $(SANITIZE),$(LDFLAGS),$(filter-out -pie,$(LDFLAGS)) -static-pie -Wl,--no-warnings) -o $@ $(call objs,plugin) \
		-Wl,--start-group $(call libs,$(DEPS_plugin)) -Wl,--end-group $(EXT_plugin)

$(BUILD)/ripstop-agent: $(call objs,agent) $(call libs,$(DEPS_agent))
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(call objs,agent) \
		-Wl,--start-group $(call libs,$(DEPS_agent)) -Wl,--end-group $(EXT_agent)

# The eBPF dataplane's programs, and the file that carries them as bytes. Without llvm-strip they are
# larger by their debugging symbols.
BPF_CC = clang-14
BPF_STRIP := $(firstword $(foreach s,llvm-strip-14 llvm-strip,$(shell command -v $(s))))
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-function -Wno-unused-parameter \
	-I. -Iinclude -idirafter /usr/include/$(shell $(CC) -print-multiarch)
BPF_OBJECT := $(BUILD)/bpf/ripstop.bpf.o

$(BPF_OBJECT): bpf/ripstop.bpf.c $(wildcard bpf/*.h) include/ripstop/bpfabi.h Makefile
	@mkdir -p $(@D)
	@$(if $(V),,echo "  BPF   $@")
	$(Q)$(BPF_CC) $(BPF_CFLAGS) -c $< -o $@ $(if $(BPF_STRIP),&& $(BPF_STRIP) -g $@)

$(BUILD)/obj/lib/dataplane/ebpf/bpfobject.o: $(BPF_OBJECT)
$(BUILD)/obj/lib/dataplane/ebpf/bpfobject.o: CPPFLAGS += -DRS_BPF_OBJECT='"$(BPF_OBJECT)"'

# Its page is built in as it stands, which the compiler's list of dependencies does not know.
$(BUILD)/obj/cli/matrix/matrixhtml.o: $(wildcard cli/matrix/matrix*.html cli/matrix/matrix*.css cli/matrix/matrix*.js)

# Two programs of one room: they differ in main() and in whom they ask, and how.
KUBECTL_OBJS := $(filter $(BUILD)/obj/cli/kubectl/%,$(call objs,cli))
RIPSTOP_OBJS := $(filter-out $(KUBECTL_OBJS),$(call objs,cli))
KUBECTL_OBJS += $(filter-out $(patsubst %,$(BUILD)/obj/cli/%.o,cli call kernel/% capture/%),$(RIPSTOP_OBJS))

$(BUILD)/ripstop: $(RIPSTOP_OBJS)
$(BUILD)/ripstop: EXT_kernel := $(EXT_ruleset)
$(BUILD)/kubectl-ripstop: $(KUBECTL_OBJS)
$(BUILD)/ripstop $(BUILD)/kubectl-ripstop: $(call libs,$(DEPS_cli))
	@$(if $(V),,echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(call libs,$(DEPS_cli)) -Wl,--end-group $(EXT_cli) $(EXT_kernel)

-include tests/tests.mk
-include tools/house.mk

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
