# SPDX-License-Identifier: Apache-2.0
"""Kubernetes objects as oracle2 reads them: with their faults, each of which allows nothing.

What holds a fault is the smallest part that can be left out without allowing more: a port entry, a peer (an
ipBlock with a bad except is bad as a whole, for leaving out the except would widen it), a selector, a rule.
"""
import re

from oracle2_ids import *  # noqa: F401, F403 - the ids as bits, by their names

PROTO = {"TCP": 6, "UDP": 17, "SCTP": 132}
NAME_KEY = "kubernetes.io/metadata.name"
_KEY_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z")
_DNS_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_DNS = re.compile(rf"{_DNS_LABEL}(?:\.{_DNS_LABEL})*\Z")
_PORT_NAME = re.compile(r"(?!.*--)(?=.*[a-z])[a-z0-9](?:[-a-z0-9]{0,13}[a-z0-9])?\Z")


# ---- addresses --------------------------------------------------------------------------------------

def _v4(text):
    parts = text.split(".")
    if len(parts) != 4:
        return None
    n = 0
    for p in parts:
        if not re.fullmatch(r"[0-9]+", p) or int(p) > 255:
            return None
        n = n << 8 | int(p)
    return n


def _v6(text):
    if text.count("::") > 1 or ":::" in text:
        return None
    halves = [h.split(":") if h else [] for h in text.split("::")]
    if "." in text:
        last = halves[-1]
        v4 = _v4(last.pop()) if last else None
        if v4 is None:
            return None
        last += ["%x" % (v4 >> 16), "%x" % (v4 & 0xffff)]
    words = [w for h in halves for w in h]
    if any(not re.fullmatch(r"[0-9a-fA-F]+", w) or int(w, 16) > 0xffff for w in words):
        return None
    if len(halves) == 1:
        if len(words) != 8:
            return None
    elif len(words) > 7:
        return None
    else:
        words = halves[0] + ["0"] * (8 - len(words)) + halves[1]
    n = 0
    for w in words:
        n = n << 16 | int(w, 16)
    return n


def address(text):
    """(family, number), or None."""
    if not isinstance(text, str):
        return None
    n = _v4(text)
    if n is not None:
        return 4, n
    n = _v6(text) if ":" in text else None
    return None if n is None or n >> 32 == 0xffff else (6, n)


class Cidr:
    """A block as Kubernetes reads it: host bits masked, leading zeros decimal. `mapped`: ::ffff:0:0/96."""
    __slots__ = ("family", "lo", "hi", "prefix", "mapped", "odd")

    def __init__(self, family, number, prefix, zeros):
        bits = 32 if family == 4 else 128
        size = 1 << (bits - prefix)
        self.family, self.prefix = family, prefix
        self.lo = number & ~(size - 1)
        self.hi = self.lo | (size - 1)
        self.mapped = family == 6 and self.lo >> 32 == 0xffff and prefix >= 96
        self.odd = (B15 if self.lo != number else 0) | (B16 if zeros else 0)

    def holds(self, family, number):
        return self.family == family and self.lo <= number <= self.hi

    def key(self):
        return self.family, self.lo, self.prefix


def cidr(text):
    """A Cidr, or None when it is none."""
    if not isinstance(text, str) or text.count("/") != 1:
        return None
    addr, _, length = text.partition("/")
    if not re.fullmatch(r"[0-9]+", length):
        return None
    n = _v4(addr)
    family = 4 if n is not None else 6
    if n is None:
        n = _v6(addr) if ":" in addr else None
    prefix = int(length)
    if n is None or prefix > (32 if family == 4 else 128):
        return None
    zeros = family == 4 and re.search(r"(?:^|\.)0[0-9]", addr) is not None
    return Cidr(family, n, prefix, zeros)


# ---- selectors --------------------------------------------------------------------------------------

def _key_ok(key):
    if not isinstance(key, str):
        return False
    prefix, slash, name = key.rpartition("/")
    if slash and (not prefix or len(prefix) > 253 or not _DNS.match(prefix)):
        return False
    return _KEY_NAME.match(name) is not None


def _value_ok(value):
    return isinstance(value, str) and (value == "" or _KEY_NAME.match(value) is not None)


class Selector:
    """reqs: (key, operator, values, values in lower case, written as an expression). bad: matches nothing."""
    __slots__ = ("reqs", "bad", "why", "empty", "twice", "cache")

    def __init__(self, o):
        self.reqs, self.bad, self.why, self.cache = [], False, 0, {}
        if not isinstance(o, dict):
            self.bad = True
        else:
            self._labels(o.get("matchLabels"))
            self._expressions(o.get("matchExpressions"))
        self.empty = not self.bad and not self.reqs
        keys = [r[0] for r in self.reqs]
        self.twice = len(set(keys)) < len(keys)

    def _labels(self, o):
        if o is None:
            return
        if not isinstance(o, dict):
            self.bad = True
            return
        for key, value in o.items():
            if not _key_ok(key) or not _value_ok(value):
                self.bad = True
            else:
                self.reqs.append((key, "In", frozenset([value]), frozenset([value.lower()]), False))

    def _expressions(self, o):
        if o is None:
            return
        if not isinstance(o, list):
            self.bad = True
            return
        for e in o:
            self._expression(e)

    def _expression(self, e):
        if not isinstance(e, dict) or not _key_ok(e.get("key")):
            self.bad = True
            return
        values, op = e.get("values"), e.get("operator")
        values = [] if values is None else values
        if op not in ("In", "NotIn", "Exists", "DoesNotExist"):
            self.bad = True
            self.why |= D7
        elif not isinstance(values, list) or not all(_value_ok(v) for v in values):
            self.bad = True
        elif bool(values) != (op in ("In", "NotIn")):
            self.bad = True
            self.why |= D6
        else:
            self.reqs.append((e["key"], op, frozenset(values), frozenset(v.lower() for v in values), True))


# ---- policies ---------------------------------------------------------------------------------------

class Peer:
    __slots__ = ("form", "ns", "pod", "nulls", "cidr", "excepts", "covered", "local", "cache")

    def __init__(self, o):
        self.form, self.ns, self.pod, self.cidr, self.excepts = "bad", None, None, None, []
        self.covered = self.local = False
        if o is None:
            o = {}
        if not isinstance(o, dict):
            return
        ns, pod, block = o.get("namespaceSelector"), o.get("podSelector"), o.get("ipBlock")
        self.ns = None if ns is None else Selector(ns)
        self.pod = None if pod is None else Selector(pod)
        self.nulls = "namespaceSelector" in o and ns is None or "podSelector" in o and pod is None
        if block is not None:
            self._block(block)
            if ns is not None or pod is not None:
                self.form = "both"
        elif ns is None and pod is None:
            self.form = "none"
        else:
            self.form = "selectors"

    def _block(self, o):
        excepts = o.get("except") if isinstance(o, dict) else None
        self.cidr = cidr(o.get("cidr")) if isinstance(o, dict) else None
        self.excepts = [] if excepts is None else excepts
        if self.cidr is None or not isinstance(self.excepts, list):
            return
        self.excepts = [cidr(e) for e in self.excepts]
        self.form = "mapped" if self.cidr.mapped else "block"
        for e in self.excepts:
            if e is None or e.mapped or e.family != self.cidr.family:
                self.form = "bad"
                return
            if e.prefix <= self.cidr.prefix or not self.cidr.lo <= e.lo <= self.cidr.hi:
                self.form = "bad"  # the API demands a strict part of the block
                return
        self.covered = self._all_excepted()
        first = self.cidr.lo >> (24 if self.cidr.family == 4 else 118)
        self.local = (self.cidr.family == 4 and (first == 127 or self.cidr.lo >> 16 == 0xa9fe)
                      or self.cidr.family == 6 and (first == 0x3fa or self.cidr.lo == 1))

    def _all_excepted(self):
        at = self.cidr.lo
        for e in sorted(self.excepts, key=lambda e: e.lo):
            if e.lo > at:
                return False
            at = max(at, e.hi + 1)
        return at > self.cidr.hi


class Port:
    """form: any, range, name, bad. `digits`: a bad one that is a number in a string; `outside`: 0 or > 65535."""
    __slots__ = ("form", "proto", "unsaid", "lo", "hi", "ended", "name", "digits", "outside", "twin")

    def __init__(self, o):
        self.form, self.lo, self.hi, self.ended, self.name = "bad", 0, 0, False, None
        self.digits, self.outside, self.twin, self.proto, self.unsaid = 0, False, False, 0, False
        if not isinstance(o, dict):
            return
        proto, port, end = o.get("protocol"), o.get("port"), o.get("endPort")
        self.unsaid = proto is None
        self.proto = 6 if proto is None else PROTO.get(proto, 0) if isinstance(proto, str) else 0
        if isinstance(port, str):
            self.name = port
            if re.fullmatch(r"[0-9]{1,5}", port):
                self.digits = int(port)
        if not self.proto:
            return
        if port is None:
            self.form = "bad" if end is not None else "any"
        elif isinstance(port, str):
            self.form = "name" if end is None and _PORT_NAME.match(port) else "bad"
        elif type(port) is int:
            self._range(port, end)

    def _range(self, port, end):
        if end is not None and type(end) is not int:
            return
        self.ended = end is not None
        self.lo, self.hi = port, port if end is None else end
        if 1 <= self.lo <= self.hi <= 65535:
            self.form = "range"
        else:
            self.outside = self.lo < 1 or self.hi > 65535

    def key(self):
        return self.form, self.proto, self.lo, self.hi, self.name


class Rule:
    __slots__ = ("bad", "any_peer", "any_port", "peers", "ports", "kinds", "peer_cache", "port_cache", "dead",
                 "nobody", "addressless", "local")

    def __init__(self, o, side):
        self.peers, self.ports, self.bad = [], [], not isinstance(o, dict)
        self.any_peer = self.any_port = self.local = False
        self.peer_cache, self.port_cache, self.dead, self.nobody, self.addressless = {}, {}, None, None, None
        self.kinds = set()
        if self.bad:
            return
        peers, ports = o.get(side), o.get("ports")
        if not isinstance(peers, (list, type(None))) or not isinstance(ports, (list, type(None))):
            self.bad = True
            return
        self.any_peer, self.any_port = not peers, not ports
        self.peers = [Peer(p) for p in peers or []]
        self.ports = [Port(p) for p in ports or []]
        self.local = any(p.form == "block" and p.local for p in self.peers)
        seen = {}
        for p in self.ports:
            twin = seen.setdefault(p.key(), p)
            if twin is not p:
                twin.twin = p.twin = True
            if p.form in ("range", "name"):
                self.kinds.add("ranges" if p.ended else p.form)


class Policy:
    """isolates and rules: [ingress, egress]. closed: the subject selector is invalid, all pods of the namespace
    are subjects and no rule counts."""
    __slots__ = ("ns", "name", "subject", "absent", "closed", "isolates", "defaulted", "rules", "ignored", "ports_of")

    def __init__(self, ns, name, spec):
        self.ns, self.name = ns, name
        lists = [spec.get("ingress"), spec.get("egress")] if isinstance(spec, dict) else []
        # A spec or a list that is none at all: nothing of the policy can be trusted.
        broken = not isinstance(spec, (dict, type(None))) or not all(isinstance(r, (list, type(None))) for r in lists)
        spec = spec if isinstance(spec, dict) else {}
        subject = spec.get("podSelector")
        self.absent = subject is None
        self.subject = Selector({} if self.absent else subject)
        self.closed = broken or self.subject.bad
        lists = lists or [None, None]
        types = spec.get("policyTypes")
        self.defaulted = types is None or types == []
        if broken:
            self.isolates = [True, True]
        elif self.defaulted:
            self.isolates = [True, bool(lists[1])]
        elif isinstance(types, list) and all(t in ("Ingress", "Egress") for t in types):
            self.isolates = ["Ingress" in types, "Egress" in types]
        else:
            self.isolates = [True, True]  # a word of the future may mean either: closed, and only its own rules
            words = [t for t in types if isinstance(t, str)] if isinstance(types, list) else []
            lists = [lists[0] if "Ingress" in words else None, lists[1] if "Egress" in words else None]
        self.ignored = [not iso and bool(rules) for iso, rules in zip(self.isolates, lists)]
        self.rules = [[Rule(r, side) for r in rules] if iso and rules and not self.closed else []
                      for iso, rules, side in zip(self.isolates, lists, ("from", "to"))]
        self.ports_of = [self._protocols(rules) for rules in self.rules]

    @staticmethod
    def _protocols(rules):
        """The protocols that the rules speak of; None where one of them speaks of all."""
        if not rules or any(r.any_port for r in rules):
            return None
        return {p.proto for r in rules for p in r.ports if p.form != "bad"}


# ---- pods -------------------------------------------------------------------------------------------

class Labels(dict):
    """Labels, and their keys in lower case and without prefix, to see what would be a near miss."""
    __slots__ = ("near",)

    def __init__(self, o):
        super().__init__((k, "" if v is None else v) for k, v in (o or {}).items())
        self.near = {k.lower().rpartition("/")[2] for k in self}


def readable(labels):
    """Labels that are none at all make an object unreadable: no pod, no namespace, a policy that closes."""
    return labels is None or isinstance(labels, dict) and all(isinstance(v, (str, type(None))) for v in labels.values())


class Pod:
    """ports: (name, protocol) -> numbers. The other tables of that form are of what does not count, or of how."""
    __slots__ = ("ns", "name", "labels", "node", "host", "finished", "phase", "leaving", "said", "addrs", "ports",
                 "sidecar", "init", "ephemeral", "host_ports", "subject_cache", "index")

    def __init__(self, ns, name, o):
        self.ns, self.name = ns, name
        meta, spec, status = o["metadata"], o.get("spec"), o.get("status")
        spec = spec if isinstance(spec, dict) else {}
        status = status if isinstance(status, dict) else {}
        self.labels = Labels(meta.get("labels"))
        self.node = spec.get("nodeName") or None
        self.host = spec.get("hostNetwork") is True
        self.phase = status.get("phase")
        self.finished = self.phase in ("Succeeded", "Failed")
        self.leaving = meta.get("deletionTimestamp") is not None
        ips = status.get("podIPs")
        if ips is None:
            ips = [{"ip": status["podIP"]}] if status.get("podIP") else []
        found = [address(i.get("ip")) for i in ips if isinstance(i, dict)] if isinstance(ips, list) else []
        self.said = [a for a in found if a]
        self.addrs = self.said  # those that count; set by the world
        self.ports, self.sidecar, self.init, self.ephemeral, self.host_ports = {}, {}, {}, {}, {}
        self.subject_cache = {}
        for c in self._containers(spec, "containers"):
            self._ports(c, self.ports)
        for c in self._containers(spec, "initContainers"):
            if c.get("restartPolicy") == "Always":
                self._ports(c, self.ports)
                self._ports(c, self.sidecar)
            else:
                self._ports(c, self.init)
        for c in self._containers(spec, "ephemeralContainers"):
            self._ports(c, self.ephemeral)

    @staticmethod
    def _containers(spec, field):
        v = spec.get(field)
        return [c for c in v if isinstance(c, dict)] if isinstance(v, list) else []

    def _ports(self, container, table):
        ports = container.get("ports")
        for p in ports if isinstance(ports, list) else []:
            if not isinstance(p, dict):
                continue
            name, number, proto = p.get("name"), p.get("containerPort"), p.get("protocol")
            proto = 6 if proto is None else PROTO.get(proto, 0) if isinstance(proto, str) else 0
            if not name or not isinstance(name, str) or type(number) is not int or not 1 <= number <= 65535:
                continue
            if not proto:
                continue
            table.setdefault((name, proto), set()).add(number)
            if table is self.ports and type(p.get("hostPort")) is int and p["hostPort"] not in (0, number):
                self.host_ports.setdefault((name, proto), {})[number] = p["hostPort"]
