// SPDX-License-Identifier: Apache-2.0
/* endpoint_name.c - what a containerID and an interface name may look like, and what follows. */
#include <ripstop/endpoint.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "endpoint/endpoint_file.h"

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static int bad_env(struct rs_err *err, int rc)
{
	rs_err_cni(err, RS_CNI_ENV);
	return rc;
}

int rs_container_id_check(const char *id, struct rs_err *err)
{
	size_t i, len = id ? strlen(id) : 0;

	if (!len)
		return bad_env(err, rs_err_set(err, EINVAL, "containerID is empty"));
	if (len > RS_CONTAINER_ID_MAX)
		return bad_env(err, rs_err_set(err, EINVAL,
					       "containerID has %zu bytes, at most %d are allowed",
					       len, RS_CONTAINER_ID_MAX));
	for (i = 0; i < len; i++)
		if (!is_alnum(id[i]) && (i == 0 || !strchr("_.-", id[i])))
			return bad_env(err,
				       rs_err_set(err, EINVAL,
						  "containerID: byte %zu (0x%02x) is not allowed",
						  i + 1, (unsigned char)id[i]));
	return 0;
}

int rs_ifname_check(const char *ifname, struct rs_err *err)
{
	size_t i, len = ifname ? strlen(ifname) : 0;

	if (!len || len >= RS_IFNAME_LEN)
		return bad_env(err, rs_err_set(err, EINVAL,
					       "interface name has %zu bytes, 1 to %d are allowed",
					       len, RS_IFNAME_LEN - 1));
	/* Words of /proc/sys/net/ipv?/conf, which the kernel keeps for itself. */
	if (!strcmp(ifname, ".") || !strcmp(ifname, "..") || !strcmp(ifname, "all") ||
	    !strcmp(ifname, "default"))
		return bad_env(
			err, rs_err_set(err, EINVAL, "interface name \"%s\" is reserved", ifname));
	/* '%' asks the kernel to choose a name; what is not ASCII may hide as white space. */
	for (i = 0; i < len; i++)
		if (ifname[i] <= ' ' || ifname[i] >= 0x7f || strchr("/:%", ifname[i]))
			return bad_env(
				err, rs_err_set(err, EINVAL,
						"interface name: byte %zu (0x%02x) is not allowed",
						i + 1, (unsigned char)ifname[i]));
	return 0;
}

/* FNV-1a, 64 bit, not keyed. Two keys may get one name: then the second link cannot be made, and
 * whoever finds a link by its name alone must look for a record of another key before he takes it
 * for his own; the plugin does. */
static uint64_t fnv1a(uint64_t h, const char *s)
{
	/* The NUL is hashed too: it keeps ("ab","c") and ("a","bc") apart. */
	do {
		h ^= (unsigned char)*s;
		h *= 0x100000001b3ULL;
	} while (*s++);
	return h;
}

void rs_endpoint_host_ifname(const char *container_id, const char *ifname, char out[RS_IFNAME_LEN])
{
	uint64_t h = fnv1a(fnv1a(0xcbf29ce484222325ULL, container_id), ifname);

	/* FNV mixes its upper bits best: fold them into the 44 that are shown. */
	h = (h ^ h >> 44) & 0xfffffffffffULL;
	snprintf(out, RS_IFNAME_LEN, "rs%011llx", (unsigned long long)h);
}

char *rs_endpoint_file_name(const char *container_id, const char *ifname)
{
	return rs_asprintf("%s:%s.json", container_id, ifname);
}

int rs_endpoint_file_key(const char *name, char **container_id, char **ifname, struct rs_err *err)
{
	rs_autofree char *id = NULL;
	rs_autofree char *ifn = NULL;
	const char *colon = strchr(name, ':');
	size_t len = strlen(name);

	if (!colon || len < 5 || strcmp(name + len - 5, ".json") || colon > name + len - 5)
		return rs_err_set(err, EBADMSG, "its name is not CONTAINERID:IFNAME.json");
	id = rs_strndup(name, (size_t)(colon - name));
	ifn = rs_strndup(colon + 1, (size_t)(name + len - 5 - (colon + 1)));
	if (rs_container_id_check(id, NULL) < 0 || rs_ifname_check(ifn, NULL) < 0)
		return rs_err_set(err, EBADMSG, "its name is not CONTAINERID:IFNAME.json");
	*container_id = rs_steal_ptr(&id);
	*ifname = rs_steal_ptr(&ifn);
	return 0;
}

/* ---- two keys of one name
 * ---------------------------------------------------------------------- */

RS_DEFINE_CLEANUP(cleanup_endpoint, struct rs_endpoint *, rs_endpoint_free)

struct rival {
	const char *container_id;
	const char *ifname;
	char name[RS_IFNAME_LEN];
	char *found;
};

/* A damaged record speaks through its file's name, which is its key. */
static bool has_name(const struct rs_endpoint *e, const char *file, const struct rival *r)
{
	rs_autofree char *id = NULL;
	rs_autofree char *ifname = NULL;
	char name[RS_IFNAME_LEN];

	if (e)
		return !strcmp(e->host_ifname, r->name) &&
		       (strcmp(e->container_id, r->container_id) || strcmp(e->ifname, r->ifname));
	if (rs_endpoint_file_key(file, &id, &ifname, NULL) < 0)
		return false;
	rs_endpoint_host_ifname(id, ifname, name);
	return !strcmp(name, r->name) && (strcmp(id, r->container_id) || strcmp(ifname, r->ifname));
}

static int look_for_rival(struct rs_endpoint *owned, const char *file, const struct rs_err *why,
			  void *arg)
{
	rs_cleanup(cleanup_endpoint) struct rs_endpoint *e = owned;
	struct rival *r = arg;

	(void)why;
	if (!has_name(e, file, r))
		return 0;
	r->found = rs_strdup(file);
	return 1;
}

int rs_endpoint_name_rival(struct rs_endpoint_store *store, const char *container_id,
			   const char *ifname, char **rival, struct rs_err *err)
{
	struct rival r = { .container_id = container_id, .ifname = ifname };
	int rc;

	rs_endpoint_host_ifname(container_id, ifname, r.name);
	rc = rs_endpoint_each(store, look_for_rival, &r, err);
	*rival = r.found;
	return rc < 0 ? rc : 0;
}
