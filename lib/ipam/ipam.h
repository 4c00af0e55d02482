/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipam.h - lib/ipam gives out addresses of this node's pod ranges and takes them back.
 *
 * What flows in: ranges, and a key (containerID, ifname). What flows out: one address of each
 * family that has a range. State: STATE/leases/, one small JSON file an address, named by the
 * address; every change holds one flock (on the folder itself) and is written temp + fsync +
 * link/rename, so a crash leaves all or nothing. The address of a damaged file is never a free one;
 * the others are given out as ever.
 *
 * Rules (docs/ipam.md): an address that was released rests (restSeconds) before it is given out
 * again; among free ones the longest rested comes first, never used before used, so a range is
 * walked round robin. A lease of another boot is void (its pod is gone). Network, broadcast (IPv4,
 * prefix < 31), the all-zero host (IPv6 subnet-router anycast) and excluded addresses are never
 * given out. A release compares (containerID, ifname) under the lock.
 */
#ifndef RIPSTOP_IPAM_IPAM_H
#define RIPSTOP_IPAM_IPAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ripstop/addr.h>
#include <ripstop/error.h>

struct rs_ipam;

struct rs_ipam_config {
	const char *state_dir;
	const struct rs_cidr *ranges; /* several of one family: the first with a free address */
	size_t n_ranges;
	const struct rs_addr *exclude; /* the node's own addresses and gateways */
	size_t n_exclude;
	uint32_t rest_s;     /* taken as it is, 0: no rest (the plugin's default is 30) */
	const char *boot_id; /* this boot; NULL: read it */
	int64_t now_s;	     /* 0: ask CLOCK_BOOTTIME, which nobody can set (tests pass one) */
	int lock_ms;	     /* how long to wait for the folder's lock; 0: 10 s */
};

enum rs_lease_state {
	RS_LEASE_HELD,
	RS_LEASE_RESTING,
};

struct rs_lease {
	struct rs_addr addr;
	enum rs_lease_state state;
	char *container_id;
	char *ifname;
	char *boot_id;
	int64_t since_s; /* held or resting since, in seconds after the boot (CLOCK_BOOTTIME) */
};

/* Ranges are checked here: overlap with each other, a default route, loopback, link-local,
 * multicast, or an IPv6 range shorter than /64 is CNI code 7. Creates STATE/leases (0700). */
int rs_ipam_open(const struct rs_ipam_config *cfg, struct rs_ipam **out, struct rs_err *err);
void rs_ipam_close(struct rs_ipam *ipam);

/*
 * Lease one address per family that has ranges, for a key that holds none (-EEXIST, code 105).
 * All families or none. Exhausted: -EADDRNOTAVAIL, code 100, or -EBADMSG, code 103, where a damaged
 * file keeps one of the addresses; only resting addresses: -EAGAIN, code 11, and the message says
 * when the next is free. out has room for 2; *n is set.
 */
int rs_ipam_acquire(struct rs_ipam *ipam, const char *container_id, const char *ifname,
		    struct rs_addr out[2], size_t *n, struct rs_err *err);

/* Release all of a key: they rest from now on. None there is no error. */
int rs_ipam_release(struct rs_ipam *ipam, const char *container_id, const char *ifname,
		    struct rs_err *err);

/* The same for a key that holds these addresses and no others, as its record tells: without reading
 * the whole folder. What it does not hold stays as it is. */
int rs_ipam_release_addrs(struct rs_ipam *ipam, const char *container_id, const char *ifname,
			  const struct rs_addr *addrs, size_t n, struct rs_err *err);

/* Would an acquire succeed now? 0, or the error it would give. Changes no lease; cheap (STATUS). */
int rs_ipam_check_free(struct rs_ipam *ipam, struct rs_err *err);

/* Does the key hold exactly these addresses? For CHECK: -ENOENT when not. */
int rs_ipam_verify(struct rs_ipam *ipam, const char *container_id, const char *ifname,
		   const struct rs_addr *ips, size_t n, struct rs_err *err);

/* Every lease file; the callee owns the lease's strings (rs_lease_clear). Damaged: lease NULL. */
int rs_ipam_each(struct rs_ipam *ipam,
		 int (*fn)(struct rs_lease *lease, const char *name, const struct rs_err *why,
			   void *arg),
		 void *arg, struct rs_err *err);
void rs_lease_clear(struct rs_lease *l);

/* Text of a lease file and back (files, fuzzer). */
int rs_lease_from_json(const char *text, size_t len, struct rs_lease *out, struct rs_err *err);
char *rs_lease_to_json(const struct rs_lease *l);

/* Addresses of all ranges (capped at UINT64_MAX) and how many are held or resting. */
struct rs_ipam_usage {
	uint64_t total;
	uint64_t held;
	uint64_t resting;
};
int rs_ipam_usage(struct rs_ipam *ipam, struct rs_ipam_usage *out, struct rs_err *err);

/*
 * Take every lease away from keys for which keep() answers false (GC). Returns how many.
 */
int rs_ipam_sweep(struct rs_ipam *ipam,
		  bool (*keep)(const char *container_id, const char *ifname, void *arg), void *arg,
		  struct rs_err *err);

#endif
