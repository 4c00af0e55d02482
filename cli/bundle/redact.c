// SPDX-License-Identifier: Apache-2.0
/* redact.c - takes names, labels and addresses out of a support archive.
 *
 * First all names are gathered from where they stand by themselves (metadata, labels, selectors),
 * then every text is rewritten: a word that is one of them, and everything that is an address,
 * becomes a hash. Texts that are files' names become a hash whole. Words of our own grammar (kinds,
 * states, verdicts) stay even where a pod is called so: they say nothing of it. */
#include "cli/bundle/bundle.h"

#include <ctype.h>
#include <string.h>
#include <sys/random.h>

#include "object/keyed_hash.h"

struct word {
	UT_hash_handle hh;
	char text[];
};

struct redaction {
	struct word *words;
	uint64_t salt;
};

/* ---- hashes ---------------------------------------------------------------------------------- */

/* Of a word of some sort; twice the process' keyed hash, and a salt of this archive. */
static void put_hash(const struct redaction *x, const char *sort, const char *s, size_t n,
		     struct rs_strbuf *out)
{
	rs_auto_strbuf b = { 0 };
	uint32_t first;

	rs_strbuf_add(&b, &x->salt, sizeof(x->salt));
	rs_strbuf_add(&b, s, n);
	first = rs_keyed_hash(b.s, b.len);
	rs_strbuf_putc(&b, '+');
	rs_strbuf_printf(out, "%s-%08x%04x", sort, first, rs_keyed_hash(b.s, b.len) & 0xffff);
}

/* ---- which words are names ------------------------------------------------------------------- */

static bool is_number(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isdigit((unsigned char)s[i]))
			return false;
	return true;
}

static void learn(struct redaction *x, const char *s, size_t n)
{
	struct word *w;

	/* A number tells nobody apart, and ports and indices are numbers too. */
	if (!n || is_number(s, n))
		return;
	HASH_FIND(hh, x->words, s, n, w);
	if (w)
		return;
	w = rs_calloc(1, sizeof(*w) + n + 1);
	memcpy(w->text, s, n);
	HASH_ADD_KEYPTR(hh, x->words, w->text, n, w);
}

static bool in_word(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.' || (c & 0x80);
}

/* Every word of a text. */
static void learn_words(struct redaction *x, const char *s)
{
	while (*s) {
		size_t n = 0;

		while (s[n] && in_word(s[n]))
			n++;
		learn(x, s, n);
		s += n ? n : 1;
	}
}

static bool among(const char *word, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(word, list[i]))
			return true;
	return false;
}

#define AMONG(word, list) among((word), (list), RS_ARRAY_SIZE(list))

/* Members whose text is one name, or names with slashes and commas between them. */
static const char *const name_keys[] = { "namespace",
					 "name",
					 "node",
					 "nodeName",
					 "node_name",
					 "pod",
					 "pods",
					 "selects",
					 "policies",
					 "source",
					 "isolatedBy",
					 "owner",
					 "containerID",
					 "uid",
					 "pod_name",
					 "workload",
					 "key",
					 "closed",
					 "kubernetes.io/config.hash" };
/* Members whose text is of selectors: all its words but these are labels. */
static const char *const selector_keys[] = { "podSelector", "peers", "labels", "values" };
static const char *const selector_words[] = { "in",   "notin",	"ns",	 "pods", "pod", "any",
					      "all",  "except", "none",	 "and",	 "or",	"world",
					      "with", "of",	"every", "not" };

static void learn_selector(struct redaction *x, const char *s)
{
	while (*s) {
		rs_autofree char *word = NULL;
		size_t n = 0;

		while (s[n] && in_word(s[n]))
			n++;
		word = rs_strndup(s, n);
		if (!AMONG(word, selector_words))
			learn(x, s, n);
		s += n ? n : 1;
	}
}

/* Names of the kernel's tables, of checks and of our own parts are no names of objects. */
static bool names_no_object(const char *part)
{
	static const char *const parts[] = { "nftables.json", "doctor.json", "sysctls.json",
					     "conntrack.json", "links.json" };

	return AMONG(part, parts);
}

static void learn_from(struct redaction *x, const char *key, struct json_object *o);

static void learn_members(struct redaction *x, const char *key, struct json_object *o)
{
	json_object_object_foreach(o, k, v)
	{
		if (!strcmp(key, "labels") || !strcmp(key, "matchLabels"))
			learn_words(x, k);
		learn_from(x, !strcmp(key, "labels") || !strcmp(key, "matchLabels") ? key : k, v);
	}
}

static void learn_from(struct redaction *x, const char *key, struct json_object *o)
{
	const char *s;

	if (json_object_is_type(o, json_type_object)) {
		learn_members(x, key, o);
	} else if (json_object_is_type(o, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(o); i++)
			learn_from(x, key, json_object_array_get_idx(o, i));
	} else if (json_object_is_type(o, json_type_string)) {
		s = json_object_get_string(o);
		if (AMONG(key, name_keys))
			learn_words(x, s);
		if (AMONG(key, selector_keys) || !strcmp(key, "matchLabels"))
			learn_selector(x, s);
	}
}

/* ---- rewriting ------------------------------------------------------------------------------- */

/* Members whose text is of our own grammar, or of Kubernetes'. */
static const char *const plain_keys[] = {
	"apiVersion",
	"kind",
	"state",
	"verdict",
	"protocol",
	"type",
	"types",
	"check",
	"version",
	"agent",
	"phase",
	"operator",
	"labelsFrom",
	"revision",
	"what",
	"reason",
	"linkKind",
	"interface",
	"policyTypes",
	"dataplane",
	"time",
	"drop_reason_desc",
	"traffic_direction",
	"ipVersion",
	"deletionTimestamp",
};
static const char *const file_keys[] = { "where", "path" };

static bool in_addr(char c)
{
	return isxdigit((unsigned char)c) || c == ':' || c == '.';
}

/* "10.0.0.1", "fd00::1", "10.0.0.1:80": how many bytes of s are an address; 0: none. */
static size_t address_len(const char *s)
{
	size_t n = 0, dots = 0, colons = 0;
	struct rs_addr a;

	while (in_addr(s[n])) {
		dots += s[n] == '.';
		colons += s[n] == ':';
		n++;
	}
	if (in_word(s[n]) || (dots != 3 && colons < 2))
		return 0;
	for (; n; n--) {
		rs_autofree char *text = NULL;

		/* A port or the end of a sentence may follow. */
		if (n > 1 && s[n - 1] == '.')
			continue;
		text = rs_strndup(s, n);
		if (rs_addr_parse(text, &a, NULL) == 0)
			return n;
		if (!strchr(text, ':') && dots != 3)
			return 0;
	}
	return 0;
}

static void rewrite_text(const struct redaction *x, const char *s, struct rs_strbuf *out)
{
	while (*s) {
		size_t n = address_len(s);
		struct word *w;

		if (n) {
			put_hash(x, strchr(s, '.') && memchr(s, '.', n) ? "ip4" : "ip6", s, n, out);
			s += n;
			continue;
		}
		while (s[n] && in_word(s[n]))
			n++;
		HASH_FIND(hh, x->words, s, n, w);
		/* "db-0." at the end of a sentence. */
		if (!w && n > 1 && s[n - 1] == '.') {
			n--;
			HASH_FIND(hh, x->words, s, n, w);
		}
		if (w)
			put_hash(x, "n", s, n, out);
		else
			rs_strbuf_add(out, s, n ? n : 1);
		s += n ? n : 1;
	}
}

static char *rewritten(const struct redaction *x, const char *key, const char *s)
{
	rs_auto_strbuf b = { 0 };

	if (AMONG(key, plain_keys))
		return rs_strdup(s);
	if (AMONG(key, file_keys))
		put_hash(x, "file", s, strlen(s), &b);
	else
		rewrite_text(x, s, &b);
	return rs_strbuf_steal(&b);
}

static struct json_object *rewrite(const struct redaction *x, const char *key,
				   struct json_object *o);

static struct json_object *rewrite_map(const struct redaction *x, const char *key,
				       struct json_object *o)
{
	bool labels = !strcmp(key, "labels") || !strcmp(key, "matchLabels");
	struct json_object *out = json_object_new_object();

	json_object_object_foreach(o, k, v)
	{
		rs_auto_strbuf b = { 0 };

		if (labels)
			rewrite_text(x, k, &b);
		json_object_object_add(out, labels ? rs_strbuf_str(&b) : k,
				       rewrite(x, labels ? key : k, v));
	}
	return out;
}

static struct json_object *rewrite(const struct redaction *x, const char *key,
				   struct json_object *o)
{
	rs_autofree char *text = NULL;
	struct json_object *out;

	if (json_object_is_type(o, json_type_object))
		return rewrite_map(x, key, o);
	if (json_object_is_type(o, json_type_array)) {
		out = json_object_new_array();
		for (size_t i = 0; i < json_object_array_length(o); i++)
			json_object_array_add(out,
					      rewrite(x, key, json_object_array_get_idx(o, i)));
		return out;
	}
	if (!json_object_is_type(o, json_type_string))
		return json_object_get(o);
	text = rewritten(x, key, json_object_get_string(o));
	return json_object_new_string(text);
}

/* ---- rules ----------------------------------------------------------------------------------- */

static void add_names(struct json_object *out, struct json_object *expr)
{
	json_object_object_foreach(expr, k, v)
	{
		(void)v;
		json_object_array_add(out, json_object_new_string(k));
	}
}

/* Which expressions there are stays; their data may be addresses. */
static struct json_object *expr_names(struct json_object *rule)
{
	struct json_object *list = rs_json_get(rule, "exprs"), *out = json_object_new_array();

	for (size_t i = 0; i < cli_count(rule, "exprs"); i++)
		add_names(out, json_object_array_get_idx(list, i));
	return out;
}

static void strip_rules(struct json_object *o)
{
	struct json_object *rules = rs_json_get(o, "rules"), *sets = rs_json_get(o, "sets");

	for (size_t i = 0; i < cli_count(o, "rules"); i++) {
		struct json_object *r = json_object_array_get_idx(rules, i);

		json_object_object_add(r, "exprs", expr_names(r));
	}
	for (size_t i = 0; i < cli_count(o, "sets"); i++)
		json_object_object_del(json_object_array_get_idx(sets, i), "elements");
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void forget(struct redaction *x)
{
	struct word *w, *next;

	HASH_ITER(hh, x->words, w, next) {
		HASH_DEL(x->words, w);
		free(w);
	}
}

void bundle_redact(struct bundle *b)
{
	struct redaction x = { 0 };
	rs_auto_strbuf node = { 0 };

	/* Without randomness of its own the process' key still holds. */
	if (getrandom(&x.salt, sizeof(x.salt), 0) != (ssize_t)sizeof(x.salt))
		x.salt = (uint64_t)rs_mono_ms();
	learn_words(&x, b->node);
	for (size_t i = 0; i < b->parts.n; i++)
		if (!names_no_object(b->parts.v[i].name))
			learn_from(&x, "", b->parts.v[i].o);
	for (size_t i = 0; i < b->parts.n; i++) {
		struct bundle_part *p = &b->parts.v[i];
		struct json_object *old = p->o;
		rs_auto_strbuf why = { 0 };

		if (!strcmp(p->name, "nftables.json"))
			strip_rules(old);
		p->o = old ? rewrite(&x, "", old) : NULL;
		json_object_put(old);
		rewrite_text(&x, p->why ? p->why : "", &why);
		free(p->why);
		p->why = why.len ? rs_strbuf_steal(&why) : NULL;
	}
	rewrite_text(&x, b->node, &node);
	free(b->node);
	b->node = rs_strbuf_steal(&node);
	forget(&x);
}
