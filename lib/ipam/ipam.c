// SPDX-License-Identifier: Apache-2.0
/* ipam.c - lib/ipam gives out addresses of this node's pod ranges and takes them back. */
#include "ipam/ipam.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/statedir.h"
#include "ipam/lease.h"
#include "ipam/pick.h"

struct rs_ipam {
	struct rs_statedir dir;
	struct pick_ranges ranges;
	char boot_id[RS_BOOT_ID_LEN];
	int64_t now_s;
};

/* ---- opening --------------------------------------------------------------------------------- */

static int bad_range(const struct rs_cidr *c, const char *why, struct rs_err *err)
{
	char text[RS_CIDR_STRLEN];
	int rc = rs_err_set(err, EINVAL, "range %s %s", rs_cidr_str(c, text), why);

	rs_err_cni(err, RS_CNI_CONFIG);
	return rc;
}

static int check_range(const struct rs_cidr *c, struct rs_err *err)
{
	static const struct {
		const char *cidr;
		const char *why;
	} special[] = {
		{ "0.0.0.0/8", "holds addresses of \"this network\"" },
		{ "127.0.0.0/8", "holds loopback addresses" },
		{ "169.254.0.0/16", "holds link-local addresses" },
		{ "224.0.0.0/4", "holds multicast addresses" },
		{ "255.255.255.255/32", "holds the broadcast address" },
		{ "::1/128", "holds the loopback address" },
		{ "::ffff:0:0/96", "holds IPv4-mapped addresses" },
		{ "fe80::/10", "holds link-local addresses" },
		{ "ff00::/8", "holds multicast addresses" },
	};
	struct rs_cidr bad;
	size_t i;

	if (c->len == 0)
		return bad_range(c, "is the whole address space", err);
	for (i = 0; i < RS_ARRAY_SIZE(special); i++)
		if (rs_cidr_parse(special[i].cidr, &bad, NULL, NULL) == 0 &&
		    rs_cidr_overlaps(c, &bad))
			return bad_range(c, special[i].why, err);
	if (c->addr.family == RS_AF_IP6 && c->len < 64)
		return bad_range(c, "is larger than a /64", err);
	return 0;
}

static int check_ranges(const struct rs_cidr *v, size_t n, struct rs_err *err)
{
	char text[RS_CIDR_STRLEN];
	size_t i, j;
	int rc = 0;

	for (i = 0; i < n && rc == 0; i++) {
		rc = check_range(&v[i], err);
		for (j = 0; j < i && rc == 0; j++)
			if (rs_cidr_overlaps(&v[i], &v[j])) {
				rc = rs_err_set(err, EINVAL, "ranges overlap: %s",
						rs_cidr_str(&v[j], text));
				rs_err_wrap(err, "range %s", rs_cidr_str(&v[i], text));
				rs_err_cni(err, RS_CNI_CONFIG);
			}
	}
	return rc;
}

static int set_boot_id(struct rs_ipam *ipam, const char *boot_id, struct rs_err *err)
{
	if (!boot_id)
		return rs_boot_id(ipam->boot_id, err);
	if (!*boot_id || strlen(boot_id) >= sizeof(ipam->boot_id))
		return rs_err_set(err, EINVAL, "boot id \"%s\" is none", boot_id);
	memcpy(ipam->boot_id, boot_id, strlen(boot_id) + 1);
	return 0;
}

int rs_ipam_open(const struct rs_ipam_config *cfg, struct rs_ipam **out, struct rs_err *err)
{
	struct rs_ipam *ipam;
	int rc = check_ranges(cfg->ranges, cfg->n_ranges, err);

	*out = NULL;
	if (rc < 0)
		return rc;
	ipam = rs_new(struct rs_ipam);
	ipam->dir.fd = -1;
	rc = set_boot_id(ipam, cfg->boot_id, err);
	if (rc == 0)
		rc = rs_statedir_open(cfg->state_dir, RS_LEASE_DIR, &ipam->dir, err);
	if (rc < 0) {
		rs_ipam_close(ipam);
		return rc;
	}
	ipam->ranges.v = rs_memdup(cfg->ranges, cfg->n_ranges * sizeof(*cfg->ranges));
	ipam->ranges.n = cfg->n_ranges;
	ipam->ranges.exclude = rs_memdup(cfg->exclude, cfg->n_exclude * sizeof(*cfg->exclude));
	ipam->ranges.n_exclude = cfg->n_exclude;
	ipam->ranges.rest_s = cfg->rest_s;
	ipam->now_s = cfg->now_s;
	ipam->dir.lock_ms = cfg->lock_ms;
	*out = ipam;
	return 0;
}

void rs_ipam_close(struct rs_ipam *ipam)
{
	if (!ipam)
		return;
	rs_statedir_close(&ipam->dir);
	free(ipam->ranges.v);
	free(ipam->ranges.exclude);
	free(ipam);
}

/* Since boot, suspend included: a wall clock that is set neither ends a rest nor prolongs one, and
 * leases of another boot are void anyway. */
static struct timespec now_of(const struct rs_ipam *ipam)
{
	struct timespec now = { .tv_sec = ipam->now_s };

	if (!ipam->now_s)
		clock_gettime(CLOCK_BOOTTIME, &now);
	return now;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* A damaged file, and one that was only glanced at, tells of no key. */
static bool is_key(const struct rs_lease *l, const char *container_id, const char *ifname)
{
	return l->state == RS_LEASE_HELD && l->container_id &&
	       !strcmp(l->container_id, container_id) && !strcmp(l->ifname, ifname);
}

/* The folder as it is now, void leases left out. For readers: it changes no lease. */
static int read_table(struct rs_ipam *ipam, bool read_all, struct lease_table *t,
		      struct rs_err *err)
{
	rs_autoclose int lock = rs_statedir_lock(&ipam->dir, err);
	size_t i, n = 0;
	int rc;

	memset(t, 0, sizeof(*t));
	if (lock < 0)
		return lock;
	rc = read_all ? lease_table_load(&ipam->dir, ipam->boot_id, t, err)
		      : lease_table_glance(&ipam->dir, ipam->boot_id, "", t, err);
	if (rc < 0)
		return rc;
	for (i = 0; i < t->files.n; i++)
		if (t->files.v[i].stale)
			rs_lease_clear(&t->files.v[i].lease);
		else
			t->files.v[n++] = t->files.v[i];
	t->files.n = n;
	return 0;
}

static int no_ranges(struct rs_err *err)
{
	int rc = rs_err_set(err, EINVAL, "no address range is configured for this node");

	rs_err_cni(err, RS_CNI_CONFIG);
	return rc;
}

/* Where a damaged file keeps one of our addresses, it is what a person can do something about. */
static int all_held(const struct rs_ipam *ipam, struct lease_table *t, struct rs_err *err)
{
	for (size_t i = 0; t->damage.num && i < t->files.n; i++) {
		if (!t->files.v[i].damaged ||
		    !rs_cidrs_contain(ipam->ranges.v, ipam->ranges.n, &t->files.v[i].lease.addr))
			continue;
		rs_err_move(err, &t->damage);
		rs_err_wrap(err, "no address is left");
		return -EBADMSG;
	}
	return -EADDRNOTAVAIL;
}

static int pick_all(struct rs_ipam *ipam, struct lease_table *t, struct rs_addr out[2], size_t *n,
		    struct rs_err *err)
{
	static const int families[] = { RS_AF_IP4, RS_AF_IP6 };
	size_t i;
	int rc;

	*n = 0;
	for (i = 0; i < RS_ARRAY_SIZE(families); i++) {
		if (!pick_has_family(&ipam->ranges, families[i]))
			continue;
		rc = pick_address(&ipam->ranges, families[i], t, now_of(ipam), &out[*n], err);
		if (rc < 0)
			return rc == -EADDRNOTAVAIL ? all_held(ipam, t, err) : rc;
		++*n;
	}
	return *n ? 0 : no_ranges(err);
}

/* A glance at the folder says yes nearly always. Before the answer is no, all is read: leases of
 * another boot may lie in the way. */
static bool is_worth_reading(int rc)
{
	return rc == -EAGAIN || rc == -EADDRNOTAVAIL || rc == -EBADMSG;
}

static int check_free(struct rs_ipam *ipam, bool read_all, struct rs_err *err)
{
	auto_lease_table t;
	struct rs_addr out[2];
	size_t n;
	int rc = read_table(ipam, read_all, &t, err);

	return rc < 0 ? rc : pick_all(ipam, &t, out, &n, err);
}

int rs_ipam_check_free(struct rs_ipam *ipam, struct rs_err *err)
{
	int rc = check_free(ipam, false, err);

	if (!is_worth_reading(rc))
		return rc;
	rs_err_clear(err);
	return check_free(ipam, true, err);
}

int rs_ipam_verify(struct rs_ipam *ipam, const char *container_id, const char *ifname,
		   const struct rs_addr *ips, size_t n, struct rs_err *err)
{
	auto_lease_table t;
	char text[RS_ADDR_STRLEN];
	size_t i, j, found = 0;
	int rc = read_table(ipam, true, &t, err);

	if (rc < 0)
		return rc;
	for (i = 0; i < t.files.n; i++) {
		struct rs_lease *l = &t.files.v[i].lease;

		if (!is_key(l, container_id, ifname))
			continue;
		for (j = 0; j < n && rs_addr_cmp(&ips[j], &l->addr); j++)
			;
		if (j == n)
			return rs_err_set(err, ENOENT, "container %s, interface %s also holds %s",
					  container_id, ifname, rs_addr_str(&l->addr, text));
		found++;
	}
	if (found != n)
		return rs_err_set(err, ENOENT,
				  "container %s, interface %s holds %zu of %zu addresses",
				  container_id, ifname, found, n);
	return 0;
}

int rs_ipam_usage(struct rs_ipam *ipam, struct rs_ipam_usage *out, struct rs_err *err)
{
	auto_lease_table t;
	size_t i;
	int rc = read_table(ipam, true, &t, err);

	memset(out, 0, sizeof(*out));
	if (rc < 0)
		return rc;
	for (i = 0; i < ipam->ranges.n; i++)
		if (__builtin_add_overflow(
			    out->total, pick_total(&ipam->ranges, &ipam->ranges.v[i]), &out->total))
			out->total = UINT64_MAX;
	for (i = 0; i < t.files.n; i++) {
		out->held += t.files.v[i].lease.state == RS_LEASE_HELD;
		out->resting += pick_resting(&t.files.v[i], ipam->ranges.rest_s, now_of(ipam));
	}
	return 0;
}

struct walk {
	struct rs_ipam *ipam;
	int (*fn)(struct rs_lease *lease, const char *name, const struct rs_err *why, void *arg);
	void *arg;
};

static int visit(const char *name, void *arg)
{
	struct walk *w = arg;
	rs_auto_err why = { 0 };
	struct lease_file f;
	int rc = lease_read(&w->ipam->dir, name, &f, &why);

	if (rc == -ENOENT) /* released while we walked */
		return 0;
	return rc < 0 ? w->fn(NULL, name, &why, w->arg) : w->fn(&f.lease, name, NULL, w->arg);
}

int rs_ipam_each(struct rs_ipam *ipam,
		 int (*fn)(struct rs_lease *lease, const char *name, const struct rs_err *why,
			   void *arg),
		 void *arg, struct rs_err *err)
{
	struct walk w = { .ipam = ipam, .fn = fn, .arg = arg };

	return rs_statedir_each(&ipam->dir, visit, &w, err);
}

/* ---- changes, all under the lock ------------------------------------------------------------- */

static void remove_row(struct rs_ipam *ipam, const struct lease_file *f)
{
	char name[LEASE_NAME_LEN];

	rs_statedir_unlink(&ipam->dir, lease_name(&f->lease.addr, RS_LEASE_HELD, name), NULL);
	rs_statedir_unlink(&ipam->dir, lease_name(&f->lease.addr, RS_LEASE_RESTING, name), NULL);
}

/* Void leases go; a rest that began in the future begins now. */
static void tidy(struct rs_ipam *ipam, struct lease_table *t)
{
	struct timespec now = now_of(ipam);
	size_t i, n = 0;

	for (i = 0; i < t->files.n; i++) {
		struct lease_file *f = &t->files.v[i];

		if (f->stale) {
			remove_row(ipam, f);
			rs_lease_clear(&f->lease);
			continue;
		}
		if (f->lease.state == RS_LEASE_RESTING && f->since.tv_sec > now.tv_sec &&
		    lease_restamp(&ipam->dir, &f->lease.addr, now, NULL) == 0)
			f->since = now;
		t->files.v[n++] = *f;
	}
	t->files.n = n;
}

/* Take them all or none. */
static int hold_all(struct rs_ipam *ipam, const char *container_id, const char *ifname,
		    const struct rs_addr *addrs, size_t n, struct rs_err *err)
{
	char name[LEASE_NAME_LEN];
	size_t i;
	int rc = 0;

	for (i = 0; i < n && rc == 0; i++) {
		struct rs_lease l = {
			.addr = addrs[i],
			.container_id = (char *)container_id,
			.ifname = (char *)ifname,
			.boot_id = ipam->boot_id,
			.since_s = now_of(ipam).tv_sec,
		};

		rc = lease_hold(&ipam->dir, &l, err);
	}
	/* A file that was there is not ours; nobody was told of the others: they need no rest. */
	if (rc == -EEXIST)
		i--;
	while (rc < 0 && i-- > 0)
		rs_statedir_unlink(&ipam->dir, lease_name(&addrs[i], RS_LEASE_HELD, name), NULL);
	return rc;
}

/* One more file came, so at most one needs to go. */
static void prune(struct rs_ipam *ipam, const struct lease_table *t)
{
	const struct lease_file *f = pick_prunable(&ipam->ranges, t, now_of(ipam));

	if (f)
		remove_row(ipam, f);
}

static int refuse_second(const struct lease_table *t, const char *container_id, const char *ifname,
			 struct rs_err *err)
{
	for (size_t i = 0; i < t->files.n; i++) {
		if (!is_key(&t->files.v[i].lease, container_id, ifname))
			continue;
		rs_err_set(err, EEXIST, "container %s, interface %s holds an address", container_id,
			   ifname);
		rs_err_cni(err, RS_CNI_ATTACHED);
		return -EEXIST;
	}
	return 0;
}

static int acquire_locked(struct rs_ipam *ipam, bool read_all, const char *container_id,
			  const char *ifname, struct rs_addr out[2], size_t *n, struct rs_err *err)
{
	auto_lease_table t;
	int rc = read_all ? lease_table_load(&ipam->dir, ipam->boot_id, &t, err)
			  : lease_table_glance(&ipam->dir, ipam->boot_id, container_id, &t, err);

	if (rc < 0)
		return rc;
	tidy(ipam, &t);
	rc = refuse_second(&t, container_id, ifname, err);
	if (rc == 0)
		rc = pick_all(ipam, &t, out, n, err);
	if (rc == 0)
		rc = hold_all(ipam, container_id, ifname, out, *n, err);
	if (rc == 0)
		prune(ipam, &t);
	return rc;
}

int rs_ipam_acquire(struct rs_ipam *ipam, const char *container_id, const char *ifname,
		    struct rs_addr out[2], size_t *n, struct rs_err *err)
{
	rs_autoclose int lock = rs_statedir_lock(&ipam->dir, err);
	int rc;

	*n = 0;
	if (lock < 0)
		return lock;
	rc = acquire_locked(ipam, false, container_id, ifname, out, n, err);
	if (is_worth_reading(rc)) {
		rs_err_clear(err);
		rc = acquire_locked(ipam, true, container_id, ifname, out, n, err);
	}
	if (rc < 0)
		*n = 0;
	return rc;
}

/* Let every held lease rest for which drop() answers true; goes on after a failure and returns the
 * first one, else how many there were. */
static int rest_all(struct rs_ipam *ipam, bool (*drop)(const struct rs_lease *l, void *arg),
		    void *arg, struct rs_err *err)
{
	rs_autoclose int lock = rs_statedir_lock(&ipam->dir, err);
	auto_lease_table t;
	int rc, first = 0, count = 0;
	size_t i;

	memset(&t, 0, sizeof(t));
	if (lock < 0)
		return lock;
	rc = lease_table_load(&ipam->dir, ipam->boot_id, &t, err);
	if (rc < 0)
		return rc;
	for (i = 0; i < t.files.n; i++) {
		const struct rs_lease *l = &t.files.v[i].lease;

		if (t.files.v[i].damaged || l->state != RS_LEASE_HELD || !drop(l, arg))
			continue;
		rc = lease_rest(&ipam->dir, &l->addr, now_of(ipam), first ? NULL : err);
		if (rc < 0 && !first)
			first = rc;
		count++;
	}
	return first ? first : count;
}

struct key {
	const char *container_id;
	const char *ifname;
};

static bool of_key(const struct rs_lease *l, void *arg)
{
	const struct key *k = arg;

	return is_key(l, k->container_id, k->ifname);
}

int rs_ipam_release(struct rs_ipam *ipam, const char *container_id, const char *ifname,
		    struct rs_err *err)
{
	struct key k = { container_id, ifname };
	int rc = rest_all(ipam, of_key, &k, err);

	return rc < 0 ? rc : 0;
}

/* Its own lease of that address, if it is one. Whose a damaged file is nobody knows: it stays. */
static int rest_one(struct rs_ipam *ipam, const char *container_id, const char *ifname,
		    const struct rs_addr *a, struct rs_err *err)
{
	char name[LEASE_NAME_LEN];
	struct rs_err why = { 0 };
	struct lease_file f;
	int rc = lease_read(&ipam->dir, lease_name(a, RS_LEASE_HELD, name), &f, &why);

	if (rc == -ENOENT || rc == -EBADMSG) {
		rs_err_clear(&why);
		return 0;
	}
	if (rc < 0) {
		rs_err_move(err, &why);
		return rc;
	}
	if (is_key(&f.lease, container_id, ifname))
		rc = lease_rest(&ipam->dir, a, now_of(ipam), err);
	rs_lease_clear(&f.lease);
	return rc;
}

int rs_ipam_release_addrs(struct rs_ipam *ipam, const char *container_id, const char *ifname,
			  const struct rs_addr *addrs, size_t n, struct rs_err *err)
{
	rs_autoclose int lock = rs_statedir_lock(&ipam->dir, err);
	int rc, first = 0;

	if (lock < 0)
		return lock;
	for (size_t i = 0; i < n; i++) {
		rc = rest_one(ipam, container_id, ifname, &addrs[i], first ? NULL : err);
		if (rc < 0 && !first)
			first = rc;
	}
	return first;
}

struct gc {
	bool (*keep)(const char *container_id, const char *ifname, void *arg);
	void *arg;
};

static bool not_kept(const struct rs_lease *l, void *arg)
{
	const struct gc *g = arg;

	return !g->keep(l->container_id, l->ifname, g->arg);
}

int rs_ipam_sweep(struct rs_ipam *ipam,
		  bool (*keep)(const char *container_id, const char *ifname, void *arg), void *arg,
		  struct rs_err *err)
{
	struct gc g = { keep, arg };

	return rest_all(ipam, not_kept, &g, err);
}
