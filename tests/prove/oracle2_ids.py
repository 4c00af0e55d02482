# SPDX-License-Identifier: Apache-2.0
"""The rules that oracle2 counts: id, what "exercised" means for it. A set of ids is an int, one bit an id."""

IDS = {
    "A1": "isolated in one direction only, and this half was judged in the other one: free",
    "A2": "policyTypes absent or empty: the default decided whether this end is isolated",
    "A3": "policyTypes is [Egress] and a written ingress list was ignored",
    "A4": "policyTypes is [Ingress] and a written egress list was ignored",
    "A5": "egress isolated by a policy without egress rules",
    "A6": "ingress null, [] or absent isolated the pod, or an ingress rule {} allowed everything",
    "A7": "egress rule {} allowed a protocol other than TCP, UDP and SCTP",
    "A8": "spec.podSelector {} selected this pod and isolated it",
    "A9": "spec.podSelector absent selected this pod and isolated it",
    "A10": "of several policies that isolate the end, one allowed and another did not",
    "A11": "denied only by policies whose rules can never match anything",
    "A12": "a policy of another namespace would have selected and isolated this otherwise free pod",
    "A13": "the end is a node whose hostNetwork pod a policy seems to select",
    "A14": "the end is isolated by one policy for each direction alone",
    "A15": "one end allowed and the other denied: denied",
    "A16-one-node": "a pair of pods on one node, at least one end isolated",
    "A16-two-nodes": "a pair of pods on different nodes, at least one end isolated",
    "A18": "the end is isolated by a policy of a namespace that is being deleted",
    "A19": "ten policies or more isolate the end",
    "A20": "the end is a Pending pod with an address, and isolated",
    "B1": "of several peers of a rule that allowed, one matched and another did not",
    "B2": "a peer with both selectors, of which just one matched the pod",
    "B3": "podSelector alone matched the labels of a pod, and the policy's namespace decided",
    "B4": "namespaceSelector alone matched a pod",
    "B5": "an empty selector alone as a peer matched a pod",
    "B6": "an absent or null selector beside another one was not taken for an empty one (or for nothing)",
    "B7": "an empty selector as a peer did not match an address that is no pod's",
    "B8": "a rule without peers allowed",
    "B9": "a peer without any known field matched nothing and the end denied",
    "B10": "a peer with both ipBlock and selectors matched nothing and the end denied",
    "B11": "an ipBlock allowed the address of a pod",
    "B12": "except took the address out of its block, and something else allowed it",
    "B13": "excepts that cover their whole block took the address out",
    "B14": "the address is in two or more excepts of one block",
    "B15": "a CIDR with host bits set holds the address",
    "B16": "a CIDR with leading zeros holds the address",
    "B17": "a v4-mapped block, read as IPv4, would hold the address, and the end denied",
    "B18": "0.0.0.0/0 or ::/0 met an address of the other family, and the end denied",
    "B19": "nested blocks hold the address, with different ports; the union allowed",
    "B23": "a selector would match a hostNetwork pod at this node's address; it did not",
    "B24": "a namespaceSelector that matches no labels at all met a pod of an unknown namespace; no match",
    "B25": "a peer of a rule with this port is a pod without an address, and the end denied",
    "B26": "a selector allowed a pod of another node, or one that is not plainly running",
    "B27": "a list of peers matched no pod and no address at all, and the end denied",
    "B28": "a selector allowed a pod that the same policy selects as its subject",
    "B29": "a namespaceSelector allowed a pod of the policy's own namespace",
    "B30": "a link-local or loopback block in a rule that allowed, or one that holds the address",
    "C1": "a rule without ports allowed",
    "C2": "a port entry without port allowed its protocol",
    "C3": "an entry without protocol: TCP; the port was the right one",
    "C4": "the right number of another protocol, and the end denied",
    "C5": "TCP denied by a policy that speaks of UDP and SCTP only",
    "C6": "a number decided on the server's port",
    "C7": "endPort decided: above the first port of the range, or one past its end",
    "C8": "the port lies in overlapping ranges of one rule, or where two ranges touch",
    "C9": "the bound 1 or 65535 decided, or a number outside of them matched nothing",
    "C10": "a named port of an ingress rule, resolved on the subject, decided",
    "C11": "a named port of an egress rule, and other pods have another number for it",
    "C12": "a named port of an egress rule without peers decided",
    "C13": "a named port of an egress rule with an ipBlock decided",
    "C14": "the name exists for another protocol only, and the end denied",
    "C15": "a named port that the pod does not declare, and the end denied",
    "C16": "a name with several numbers in the pod allowed",
    "C17": "a sidecar's port allowed, or an ordinary init container's did not",
    "C18": "a port of an ephemeral container did not count, and the end denied",
    "C19": "a number written as a string is a name, and the end denied",
    "C20": "a hostPort differs from the container port, and one of the two was asked for",
    "C21": "entries of different forms in one rule: one matched, another did not",
    "C22": "an entry that stands twice in the rule allowed",
    "C23": "ICMP judged at an isolated end",
    "C27": "a protocol other than TCP, UDP, SCTP and ICMP judged at an isolated end",
    "D1": "of several requirements of one selector one held and another did not",
    "D2": "In decided on a key that is there",
    "D3": "NotIn met a missing key",
    "D4": "Exists or DoesNotExist decided",
    "D5": "a label with an empty value met a requirement on its key",
    "D6": "In or NotIn without values, or Exists with values: the selector is invalid",
    "D7": "an unknown operator: the selector is invalid",
    "D8": "a key or value that differs in case or prefix only did not match",
    "D9": "a selector with two requirements on one key decided",
    "D10": "kubernetes.io/metadata.name of a namespace decided",
    "D14": "a selector would match the finished pod that had this address; it did not",
}

BIT = {name: 1 << i for i, name in enumerate(IDS)}
globals().update({name.replace("-", "_"): bit for name, bit in BIT.items()})  # A1, B27, A16_one_node
# Not ids: how a peer list matched, for what is decided later.
BY_SELECTOR = 1 << len(IDS)
BY_BLOCK = BY_SELECTOR << 1
BY_NAME = BY_BLOCK << 1
REAL = BY_SELECTOR - 1

_names = list(IDS)
_cache = {}


def names(mask):
    """The ids of a set, in the order of the table."""
    mask &= REAL
    out = _cache.get(mask)
    if out is None:
        out = [_names[i] for i in range(len(_names)) if mask >> i & 1]
        if len(_cache) < 200000:
            _cache[mask] = out
    return out
