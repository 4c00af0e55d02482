// SPDX-License-Identifier: Apache-2.0
/* lint_table.c - the rules of lint: their stable ids, and what people are told of each. */
#include "cli/lint/lint.h"

#include <string.h>

#include "cli/cli.h"

#define RULE(NUMBER, ...) [NUMBER] = { __VA_ARGS__ }

const struct lint_rule lint_rules[LINT_RULES] = {
	RULE(LINT_UNKNOWN_FIELD, "unknown-field", LINT_ERROR,
	     "a field that NetworkPolicy does not have",
	     "Kubernetes drops a field that it does not know, and what is left means something "
	     "else.",
	     "Write the field as the API spells it, at the level where it belongs."),
	RULE(LINT_INVALID_FIELD, "invalid-field", LINT_ERROR, "a value that the API server refuses",
	     "The policy is not in force at all, as the API server does not take it.",
	     "Write a value of the kind that the field takes."),
	RULE(LINT_INVALID_LABEL, "invalid-label", LINT_ERROR,
	     "a key or value that no label can have",
	     "The API server refuses the policy, and no object could bear such a label.",
	     "Use at most 63 letters, digits, '-', '_' and '.', and quote numbers and booleans."),
	RULE(LINT_INVALID_PORT, "invalid-port", LINT_ERROR, "a port that is none",
	     "The API server refuses the policy.",
	     "Write a number from 1 to 65535 without quotes, or the name of a container port."),
	RULE(LINT_INVALID_END_PORT, "invalid-end-port", LINT_ERROR,
	     "an endPort that makes no range", "The API server refuses the policy.",
	     "Give port as a number, and an endPort that is not below it."),
	RULE(LINT_UNKNOWN_PROTOCOL, "unknown-protocol", LINT_ERROR,
	     "a protocol that a policy cannot name", "The API server refuses the policy.",
	     "Write TCP, UDP or SCTP in capitals. ICMP passes only through a rule without ports."),
	RULE(LINT_EMPTY_PEER, "empty-peer", LINT_ERROR, "a peer without any field",
	     "The API server refuses it; elsewhere it matches nobody. It never means everybody.",
	     "Write podSelector: {} for all pods of this namespace, namespaceSelector: {} for all "
	     "pods; leave from or to out for everybody."),
	RULE(LINT_INVALID_IP_BLOCK, "invalid-ip-block", LINT_ERROR,
	     "an ipBlock that is no block of addresses", "The API server refuses the policy.",
	     "Write ADDRESS/LENGTH; every except must lie within the cidr and be smaller."),
	RULE(LINT_DEFINED_TWICE, "defined-twice", LINT_ERROR, "two policies of one name",
	     "Applied in turn the second replaces the first, whose rules are then gone.",
	     "Rename one of them, or put their rules together."),
	RULE(LINT_SELECTOR_MATCHES_NOTHING, "selector-matches-nothing", LINT_WARNING,
	     "the subject selector matches no pod",
	     "The policy isolates nobody, so the pods that were meant stay open.",
	     "Compare the labels with those of the pods (for a workload: of its pod template)."),
	RULE(LINT_PEER_MATCHES_NOTHING, "peer-matches-nothing", LINT_WARNING,
	     "a peer matches nothing", "The peer that was meant is not let through.",
	     "Compare the labels with those of the pods and namespaces; podSelector alone means "
	     "the policy's own namespace."),
	RULE(LINT_SELECTOR_CONTRADICTION, "selector-contradiction", LINT_WARNING,
	     "a selector that nothing can satisfy",
	     "All requirements of a selector must hold at once, and these exclude each other.",
	     "For alternatives use one requirement: operator In with several values."),
	RULE(LINT_OR_INSTEAD_OF_AND, "or-instead-of-and", LINT_WARNING,
	     "two list items where one was likely meant",
	     "Items of from and to are alternatives, so this allows all pods of those namespaces.",
	     "Remove the dash before podSelector, so that both selectors stand in one item."),
	RULE(LINT_AND_INSTEAD_OF_OR, "and-instead-of-or", LINT_WARNING,
	     "one list item where two were likely meant",
	     "Both selectors of one item must match, and no pod satisfies both.",
	     "Put a dash before podSelector, so that the selectors are two items."),
	RULE(LINT_NAMESPACE_NAME_LABEL, "namespace-name-label", LINT_WARNING,
	     "a namespace selected by a label `name`",
	     "Kubernetes sets kubernetes.io/metadata.name and never a label `name`.",
	     "Select by kubernetes.io/metadata.name."),
	RULE(LINT_UNDEFINED_NAMESPACE, "undefined-namespace", LINT_WARNING,
	     "a policy in a namespace that is not defined",
	     "A policy counts only in its own namespace, and the API server refuses one in a "
	     "namespace that does not exist.",
	     "Correct metadata.namespace, or add the namespace to the files."),
	RULE(LINT_HOST_NETWORK_POD, "host-network-pod", LINT_WARNING,
	     "a policy that selects a pod of the host's network",
	     "No policy has an effect on a pod with hostNetwork: it has the node's address.",
	     "Protect it by other means (a host firewall), or take hostNetwork away."),
	RULE(LINT_POLICY_TYPES_OMITTED, "policy-types-omitted", LINT_WARNING,
	     "egress rules without policyTypes",
	     "Without policyTypes a policy isolates ingress too, whatever its rules are.",
	     "Write policyTypes: [Egress], or [Ingress, Egress] if all ingress is to be denied."),
	RULE(LINT_RULES_IGNORED, "rules-ignored", LINT_WARNING,
	     "rules of a direction that policyTypes leaves out",
	     "Rules count only for the directions that policyTypes names.",
	     "Add the direction to policyTypes, or remove the rules."),
	RULE(LINT_EMPTY_PEER_LIST, "empty-peer-list", LINT_WARNING,
	     "an empty list of peers, which allows everybody",
	     "An empty from or to means the same as none: every source or destination.",
	     "To allow nobody leave the whole rule out; to allow everybody leave from or to out."),
	RULE(LINT_EMPTY_PORT_LIST, "empty-port-list", LINT_WARNING,
	     "an empty list of ports, which allows all",
	     "Empty ports mean the same as none: every port of every protocol.",
	     "To allow nothing leave the whole rule out; to allow all ports leave ports out."),
	RULE(LINT_DNS_UDP_ONLY, "dns-udp-only", LINT_WARNING, "DNS over UDP only",
	     "An answer that does not fit a datagram is asked for again over TCP, and that is "
	     "denied.",
	     "Allow TCP 53 beside UDP 53."),
	RULE(LINT_DNS_TCP_ONLY, "dns-tcp-only", LINT_WARNING, "DNS over TCP only",
	     "Names are asked for over UDP first, and that is denied.",
	     "Allow UDP 53 beside TCP 53; a port without protocol is TCP."),
	RULE(LINT_NO_DNS, "no-dns", LINT_WARNING, "egress is isolated and DNS is not allowed",
	     "Without DNS no name resolves, so clients fail although their destination is allowed.",
	     "Allow UDP and TCP 53 to the DNS pods of kube-system (k8s-app: kube-dns)."),
	RULE(LINT_UNDECLARED_NAMED_PORT, "undeclared-named-port", LINT_WARNING,
	     "a named port that no pod declares",
	     "A name stands for the containerPort of that name and protocol; without one it allows "
	     "nothing.",
	     "Declare the port in the pod's containers, or write its number."),
	RULE(LINT_NAMED_PORT_TO_IP_BLOCK, "named-port-to-ip-block", LINT_WARNING,
	     "a named port towards addresses",
	     "An address outside the cluster declares no ports, so the name allows nothing there.",
	     "Write the number of the port."),
	RULE(LINT_SERVICE_IP_IN_IP_BLOCK, "service-ip-in-ip-block", LINT_WARNING,
	     "an ipBlock with the address of a Service",
	     "Policies judge the pod behind the Service, never the Service's own address.",
	     "Select the pods behind the Service; for the API server allow the addresses of its "
	     "endpoints (kubectl get endpointslices kubernetes)."),
	RULE(LINT_POD_IP_IN_IP_BLOCK, "pod-ip-in-ip-block", LINT_WARNING,
	     "an ipBlock within the pod range",
	     "Pods get new addresses when they start anew, and some implementations never match "
	     "pods by ipBlock.",
	     "Select the pods by their labels."),
	RULE(LINT_IP_BLOCK_HOST_BITS, "ip-block-host-bits", LINT_WARNING,
	     "an ipBlock with host bits",
	     "It stands for the whole block, not for that one address.",
	     "Write the block as it is read, or the one address with its full length."),
	RULE(LINT_IP_BLOCK_LEADING_ZEROS, "ip-block-leading-zeros", LINT_WARNING,
	     "an ipBlock with leading zeros",
	     "Some programs read such numbers as octal; newer API servers refuse them.",
	     "Write the numbers without leading zeros."),
	RULE(LINT_IP_BLOCK_V4_MAPPED, "ip-block-v4-mapped", LINT_WARNING, "an IPv4-mapped ipBlock",
	     "No packet bears such an address, so the block matches nothing.",
	     "Write the block as IPv4."),
	RULE(LINT_IP_BLOCK_ALL_EXCEPTED, "ip-block-all-excepted", LINT_WARNING,
	     "an ipBlock of which nothing is left",
	     "The excepts cover the whole block, so it matches nothing.",
	     "Take away an except, or the peer."),
	RULE(LINT_WEBHOOK_LOCK_OUT, "webhook-lock-out", LINT_WARNING,
	     "a webhook that the API server cannot reach",
	     "The API server calls it from a node's address, which no selector matches; with "
	     "failurePolicy Fail objects can then not be written.",
	     "Allow the webhook's port from everywhere, or from an ipBlock of the API servers."),
	RULE(LINT_API_SERVICE_LOCK_OUT, "api-service-lock-out", LINT_WARNING,
	     "an aggregated API that the API server cannot reach",
	     "The API server calls it from a node's address, which no selector matches; then "
	     "kubectl, namespace deletion and garbage collection stall.",
	     "Allow its port from everywhere, or from an ipBlock of the API servers."),
	RULE(LINT_SHADOWED_RULE, "shadowed-rule", LINT_WARNING, "a rule that another one covers",
	     "Rules add up, so the narrower rule restricts nothing.",
	     "Remove the wider rule if the narrower one was meant, else the narrower one."),
	RULE(LINT_DUPLICATE_RULE, "duplicate-rule", LINT_WARNING, "a rule that stands twice",
	     "The second one adds nothing; perhaps one of them was to be changed.",
	     "Remove one of them."),
	RULE(LINT_DUPLICATE_ITEM, "duplicate-item", LINT_NOTE,
	     "a peer or port that stands twice in a rule",
	     "The second one adds nothing; perhaps one of them was to be changed.",
	     "Remove one of them."),
	RULE(LINT_SCTP, "sctp", LINT_NOTE, "a rule for SCTP",
	     "Not every cluster and network plugin carries SCTP, and nodes need the kernel's "
	     "module.",
	     "Make sure that SCTP is what is meant, and that the nodes have it."),
	RULE(LINT_UNKNOWN_IGNORED_RULE, "unknown-ignored-rule", LINT_WARNING,
	     "lint-ignore names a rule that does not exist", "What was to be ignored is not.",
	     "Write the ids of rules, with commas between them."),
};

const char *lint_severity_name(enum lint_severity s)
{
	static const char *const names[] = { "note", "warning", "error" };

	return names[s];
}

enum lint_id lint_rule_find(const char *id, size_t n)
{
	int i;

	for (i = 0; i < LINT_RULES; i++)
		if (strlen(lint_rules[i].id) == n && !strncmp(lint_rules[i].id, id, n))
			break;
	return (enum lint_id)i;
}

static const char *rule_id(size_t i)
{
	return i < LINT_RULES ? lint_rules[i].id : NULL;
}

const char *lint_rule_nearest(const char *id)
{
	return cli_nearest(id, rule_id);
}
