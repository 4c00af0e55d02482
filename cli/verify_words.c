// SPDX-License-Identifier: Apache-2.0
/* verify_words.c - what a difference between kernel and state does to traffic, in a sentence. */
#include "cli/verify_words.h"

#include <string.h>

#include "cli/cli.h"

static const struct {
	const char *begins; /* the object */
	const char *missing;
	const char *foreign; /* also of one that was changed, unless that is said */
} words[] = {
	{ "table", "without the table every packet passes",
	  "the rules are not those of the agent: nothing is sure" },
	{ "element cls", "rules that name this peer do not match it: what they allow is dropped",
	  "this address is taken for a peer that other rules name" },
	{ "element rng", "ipBlocks do not hold this range any more: what they allow is dropped",
	  "this range is taken for that of another ipBlock" },
	{ "element grp_", "the pod counts as not programmed: its packets are dropped",
	  "the rules of other pods are applied to this address" },
	{ "element cells", "these peers get what the pod grants to everybody else",
	  "these peers get other ports than the policies say" },
	{ "element dflt", "whatever no rule names is dropped",
	  "whatever no rule names is judged otherwise than the policies say" },
	{ "element ports_", "flows that are judged by these ports are dropped",
	  "flows are judged by other ports than the policies say" },
	{ "element guard_ll", "the pod's neighbour discovery is dropped",
	  "this link may use a link-local address that it was not given" },
	{ "element guard", "what the pod sends counts as spoofed and is dropped",
	  "this link may use an address that is not its pod's" },
	{ "element plinks", "what is spoofed on this link counts as not programmed",
	  "a link counts as a pod's" },
	{ "element self", "the pod does not reach itself through its own Service",
	  "these two addresses count as one pod: nothing is judged between them" },
	{ "element free", "packets without a flow are dropped for this pod",
	  "packets without a flow pass, though the pod is isolated" },
	{ "element own", "a pod's address that is forged elsewhere is not noticed",
	  "sources in this range are taken for forged" },
	{ "element stamp_now", "flows are judged again with every packet",
	  "flows that carry this mark are not judged again" },
	{ "chain in_p", "flows that are judged by these ports are dropped",
	  "flows are judged by other ports than the policies say" },
	{ "chain out_p", "flows that are judged by these ports are dropped",
	  "flows are judged by other ports than the policies say" },
	/* eBPF: elements of maps, programs at their places, pins */
	{ "rs_ends", "a pod of this node counts as not programmed, a peer is matched by no rule",
	  "rules for others are applied to this address" },
	{ "rs_ranges", "ipBlocks do not hold this range any more: what they allow is dropped",
	  "this range is taken for that of another ipBlock" },
	{ "rs_own", "a pod's address that is forged elsewhere is not noticed",
	  "sources in this range are taken for forged" },
	{ "rs_cells", "these peers get what the pod grants to everybody else, or nothing",
	  "these peers get other ports than the policies say" },
	{ "rs_ports", "flows that are judged by these ports are dropped",
	  "flows are judged by other ports than the policies say" },
	{ "rs_runs", "flows that are judged by these ports are dropped",
	  "flows are judged by other ports than the policies say" },
	{ "rs_whys", "what this rule lets through is counted for none",
	  "what is let through is counted for another rule" },
	{ "rs_links", "what the pod sends counts as not programmed and is dropped",
	  "this link may use an address that is not its pod's" },
	{ "program ", "nothing is judged there until it is attached again",
	  "nothing is judged there until it is attached again" },
	{ "pin ", "what it holds is in force only as long as this agent lives",
	  "what it holds is in force only as long as this agent lives" },
	{ "/", "what it holds is in force only as long as this agent lives",
	  "what it holds is in force only as long as this agent lives" },
};

const char *cli_verify_words(const char *object, const char *what)
{
	for (size_t i = 0; i < RS_ARRAY_SIZE(words); i++)
		if (!strncmp(object, words[i].begins, strlen(words[i].begins)))
			return strcmp(what, "missing") ? words[i].foreign : words[i].missing;
	return "the fixed rules are not those of the agent: verdicts may differ";
}
