# SPDX-License-Identifier: Apache-2.0
"""One world, its flows, and the plain reading of the NetworkPolicy API: any policy that selects a pod isolates it
in its directions; what no rule of such a policy allows is denied; both ends must allow.
"""
from oracle2_ids import *  # noqa: F401, F403 - the ids as bits, by their names
from oracle2_read import NAME_KEY, Labels, Pod, Policy, address, cidr, readable
from oracle2_rules import EGRESS, INGRESS, PORTED, can_allow, in_block, peers_of, ports_of, selects

ICMP = (1, 58)
MANY = 10


class Who:
    """The other end as one half sees it: an address, and the pod that is known to hold it."""
    __slots__ = ("family", "number", "pod", "hosts", "finished", "key")

    def __init__(self, addr, pod, hosts, finished):
        self.family, self.number = addr
        self.pod, self.hosts, self.finished = pod, hosts, finished
        self.key = (addr, pod.index if pod else -1)


# ---- the world --------------------------------------------------------------------------------------

def unrolled(objects):
    for o in objects:
        if isinstance(o, dict) and str(o.get("kind", "")).endswith("List") and isinstance(o.get("items"), list):
            yield from (i for i in o["items"] if isinstance(i, dict))
        elif isinstance(o, dict):
            yield o


class World:
    def __init__(self, case):
        world = case["world"]
        self.lenient = bool(world.get("lenient"))
        self.nodes = {n["name"]: ([cidr(r) for r in n["ranges"]], [address(a) for a in n["addresses"]])
                      for n in world["nodes"]}
        self.hosts = {h["name"]: [address(a) for a in h["addresses"]] for h in world["hosts"]}
        self.pod_ranges = [cidr(r) for r in world["podRanges"]]
        self.complete, self.left = world.get("complete", False), set(world.get("left", ()))
        self.ranges_said = {}
        self.namespaces, self.leaving, self.pods, policies = {}, set(), {}, {}
        for o in unrolled(case["objects"]):
            self._take(o, policies)
        self.policies = {}
        for p in policies.values():
            self.policies.setdefault(p.ns, []).append(p)
        if not self.lenient:
            self._folder()
        self._addresses()
        self.numbers = {}
        for pod in self.live:
            for key, numbers in pod.ports.items():
                self.numbers.setdefault(key, set()).update(numbers)
        self.ends = {}
        self.whos = {}

    def _take(self, o, policies):
        meta = o.get("metadata")
        if not isinstance(meta, dict) or not isinstance(meta.get("name"), str):
            return
        name, kind, ns = meta["name"], o.get("kind"), meta.get("namespace") or "default"
        if kind == "NetworkPolicy":
            policies[ns, name] = Policy(ns, name, o.get("spec") if readable(meta.get("labels")) else ())
        elif not readable(meta.get("labels")):
            return
        elif kind == "Pod":
            self.pods[f"{ns}/{name}"] = Pod(ns, name, o)
        elif kind == "Namespace":
            self.namespaces[name] = Labels(meta.get("labels"))
            if meta.get("deletionTimestamp") is not None:
                self.leaving.add(name)
        elif kind == "Node":
            spec = o.get("spec") if isinstance(o.get("spec"), dict) else {}
            said = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
            self.ranges_said[name] = [c for c in map(cidr, said) if c]

    def _folder(self):
        """Every namespace that is used exists, and each has the label with its name."""
        used = {p.ns for p in self.pods.values()} | set(self.policies)
        for name in used | set(self.namespaces):
            labels = dict(self.namespaces.get(name, {}))
            labels[NAME_KEY] = name
            self.namespaces[name] = Labels(labels)

    def _counts(self, pod, addr):
        """A podIP counts only inside the ranges of the pod's node; of the cluster, where those are not known. In a
        world that is complete a Node that is not there holds no pod."""
        if self.complete and pod.node not in self.ranges_said:
            return False
        ranges = self.ranges_said.get(pod.node) or self.pod_ranges
        return not ranges or any(r.holds(*addr) for r in ranges)

    def _addresses(self):
        self.holders, self.gone, self.of_hosts, self.live, self.addressless = {}, {}, {}, [], []
        self.host_pods = {}
        for i, pod in enumerate(self.pods.values()):
            pod.index = i
            if pod.host:
                self._host_pod(pod)
                continue
            pod.addrs = [a for a in pod.said if self._counts(pod, a)]
            table = self.gone if pod.finished else self.holders
            for a in pod.addrs:
                table.setdefault(a, []).append(pod)
            if pod.finished:
                continue
            (self.live if pod.addrs else self.addressless).append(pod)
            pod.node = pod.node or self._node_of(pod)

    def _host_pod(self, pod):
        node = pod.node
        for name, (_, addrs) in self.nodes.items():
            if node is None and any(a in addrs for a in pod.said):
                node = name
        for a in self.nodes[node][1] if node in self.nodes else pod.said:
            self.of_hosts.setdefault(a, []).append(pod)
        self.host_pods.setdefault(node, []).append(pod)

    def _node_of(self, pod):
        for name, (ranges, _) in self.nodes.items():
            if any(r.holds(*a) for r in ranges for a in pod.addrs):
                return name
        return None

    # ---- ends -----------------------------------------------------------------------------------

    def end(self, o, family):
        """(kind, pod or name, address)."""
        key = (*next(iter(o.items())), family)
        out = self.ends.get(key)
        if out is None:
            out = self.ends[key] = self._end(*key)
        return out

    def _end(self, kind, name, family):
        if kind == "pod":
            what = self.pods[name]
            addrs = what.addrs
            if what.host or what.finished:
                raise ValueError(f"{name} is no end of a flow")
        elif kind == "node":
            what, addrs = name, self.nodes[name][1]
        elif kind == "host":
            what, addrs = name, self.hosts[name]
        else:
            raise ValueError(f"an end of kind {kind}")
        for a in addrs:
            if a[0] == family:
                return kind, what, a
        raise ValueError(f"{kind} {name} has no address of IPv{family}")

    def who(self, node, end):
        """Who the other end may be, as that node knows it. Its own pods are known by their records; of others there
        is only what pods claim, and only what is allowed for every claimant is allowed."""
        kind, what, addr = end
        key = (node, kind, what if kind != "pod" else what.index, addr)
        out = self.whos.get(key)
        if out is None:
            pods = self.records(end) if kind == "pod" and what.node == node else self.holders.get(addr)
            hosts, gone = self.of_hosts.get(addr, ()), self.gone.get(addr, ())
            # Of a pod that left only its node knows, as a subject.
            out = self.whos[key] = [Who(addr, None, hosts, (*gone, p)) if p and f"{p.ns}/{p.name}" in self.left
                                    else Who(addr, p, hosts, gone) for p in pods or [None]]
        return out

    def records(self, end):
        """The pods that an end of this address may be on its own node: one, unless several pods claim the address.
        A case does not say which of them is attached."""
        holders = self.holders[end[2]]
        return holders if len(holders) == 1 else [p for p in holders if p.node == end[1].node]

    # ---- subjects -------------------------------------------------------------------------------

    def isolated_by(self, pod, side):
        """(the policies that isolate the pod in this direction, ids of how they came to)."""
        out = pod.subject_cache.get(side)
        if out is None:
            out = pod.subject_cache[side] = self._isolated_by(pod, side)
        return out

    def _isolated_by(self, pod, side):
        out, ids, other, both = [], 0, False, False
        for p in self.policies.get(pod.ns, ()):
            match, why = (True, p.subject.why) if p.closed else selects(p.subject, pod.labels)
            if p.isolates[side]:
                ids |= why
            if not match:
                continue
            if p.ignored[side]:
                ids |= A4 if side else A3
            if p.defaulted:
                ids |= A2
            other |= p.isolates[not side] and not p.isolates[side]
            both |= p.isolates[not side] and p.isolates[side]
            if p.isolates[side]:
                out.append(p)
                ids |= self._how(p, side)
        if not out:
            # Its neighbours in other namespaces say nothing about it; the other direction neither.
            ids |= A1 if other else 0
            ids |= A12 if any(self._stranger(p, pod, side) for p in self.foreign(pod.ns)) else 0
            return out, ids
        if other and any(not p.isolates[not side] for p in out):
            ids |= A14
        ids |= A18 if pod.ns in self.leaving else 0
        ids |= A19 if len(out) >= MANY else 0
        ids |= A20 if pod.phase == "Pending" else 0
        return out, ids

    @staticmethod
    def _how(p, side):
        ids = (A9 if p.absent else A8) if p.subject.empty else 0
        if not p.closed and not p.rules[side]:
            ids |= A5 if side else A6
        return ids

    def foreign(self, ns):
        return (p for other, policies in self.policies.items() if other != ns for p in policies)

    @staticmethod
    def _stranger(p, pod, side):
        return p.isolates[side] and not p.closed and selects(p.subject, pod.labels)[0]


# ---- one half of a flow -----------------------------------------------------------------------------

def half(world, subject, side, who, proto, port):
    """(allowed, isolated, ids)."""
    policies, ids = world.isolated_by(subject, side)
    if not policies:
        return True, False, ids
    named = subject if side == INGRESS else who.pod
    denied = allowed = ways = 0
    allowing = 0
    blocks = []
    for policy in policies:
        one = False
        for rule in policy.rules[side]:
            yes_peer, used, matched, no, some = peers_of(world, policy, rule, who)
            yes_port, p_used, p_matched, p_no, _ = ports_of(world, rule, side, proto, port, named)
            if yes_port:
                ids |= used
                denied |= no
                allowed |= some
            if yes_peer:
                ids |= p_used
                denied |= p_no & ~C13 if rule.any_peer or not matched & BY_BLOCK else p_no
                if matched & BY_BLOCK:
                    blocks.append((rule, yes_port))
            if yes_peer and yes_port:
                one = True
                ids |= matched | p_matched
                ways |= rule_ids(rule, side, proto)
                if p_matched & BY_NAME and side == EGRESS and matched & BY_BLOCK:
                    ids |= C13
                if matched & BY_SELECTOR and (who.pod.node != subject.node or who.pod.phase != "Running"
                                              or who.pod.leaving):
                    ids |= B26
        allowing += one
    if proto not in PORTED:
        ids |= C23 if proto in ICMP else C27
    if allowing:
        ids |= allowed | ways | (A10 if allowing < len(policies) else 0)
        if len(blocks) > 1 and nested(blocks, who):
            ids |= B19
        return True, True, ids
    return False, True, ids | denied | refused(world, policies, side, proto)


def rule_ids(rule, side, proto):
    if not (rule.any_peer and rule.any_port):
        return 0
    if side == INGRESS:
        return A6
    return A7 if proto not in PORTED else 0


def refused(world, policies, side, proto):
    ids = 0
    if all(p.rules[side] and not any(can_allow(world, p, r) for r in p.rules[side]) for p in policies):
        ids |= A11
    if proto == 6 and any(p.ports_of[side] and 6 not in p.ports_of[side] for p in policies):
        ids |= C5
    return ids


def nested(blocks, who):
    """Blocks of different length hold the address; by one the port is allowed and by the other it is not."""
    yes, no = set(), set()
    for rule, ports in blocks:
        for p in rule.peers:
            if p.form == "block" and in_block(p, who)[0]:
                (yes if ports else no).add(p.cidr.prefix)
    return bool(yes and no and (len(yes | no) > 1))


# ---- a flow -----------------------------------------------------------------------------------------

def all_of(world, end, side, other, proto, port):
    """One half, for everybody that either end may be."""
    allowed, isolated, ids = True, False, 0
    for subject in world.records(end):
        for who in world.who(end[1].node, other):
            yes, closed, more = half(world, subject, side, who, proto, port)
            allowed, isolated, ids = allowed and yes, isolated or closed, ids | more
    return allowed, isolated, ids


def host_pod_selected(world, node, side):
    return A13 if any(world.isolated_by(p, side)[0] for p in world.host_pods.get(node, ())) else 0


def judge(world, flow):
    """(allowed, ids)."""
    proto, port, family = flow["proto"], flow["port"], flow["family"]
    src, dst = world.end(flow["src"], family), world.end(flow["dst"], family)
    if src[2] == dst[2]:
        return True, 0  # a pod reaches itself
    ids = 0
    out = into = True
    out_iso = into_iso = False
    if src[0] == "pod":
        out, out_iso, ids = all_of(world, src, EGRESS, dst, proto, port)
    elif src[0] == "node":
        ids |= host_pod_selected(world, src[1], EGRESS)
    if dst[0] == "pod":
        if src[0] == "node" and src[1] == dst[1].node:
            return True, 0  # the node reaches its own pods
        into, into_iso, more = all_of(world, dst, INGRESS, src, proto, port)
        ids |= more
    elif dst[0] == "node":
        ids |= host_pod_selected(world, dst[1], INGRESS)
    if src[0] == dst[0] == "pod":
        if out_iso or into_iso:
            ids |= A16_one_node if src[1].node == dst[1].node else A16_two_nodes
        if out != into and (out_iso and into_iso):
            ids |= A15
    return out and into, ids
