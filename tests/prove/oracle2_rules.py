# SPDX-License-Identifier: Apache-2.0
"""What selectors, peers and ports say of one flow.

Each question is answered with its verdict and with the ids that it exercised, in four sets: `used` (the outcome
counted), `matched` (count where the question's answer was yes), `denied` and `allowed` (count where this half of
the flow ended so). What a rule's peers say counts only where its ports fit, and the other way round.
"""
from oracle2_ids import *  # noqa: F401, F403 - the ids as bits, by their names
from oracle2_read import NAME_KEY, Labels

INGRESS, EGRESS = 0, 1
PORTED = (6, 17, 132)
NOTHING = (False, 0, 0, 0, 0)


# ---- selectors --------------------------------------------------------------------------------------

def near_miss(key, values, label, labels):
    """Whether something that is not equal byte by byte would be taken for it by a careless reader."""
    if label is None:
        return key.lower().rpartition("/")[2] in labels.near
    return label.lower() in values


def selects(sel, labels, namespace=False):
    """(whether the selector matches, ids)."""
    known = sel.cache.get(id(labels))
    if known is not None:
        return known
    if sel.bad:
        out = False, sel.why
    else:
        out = evaluate(sel, labels, namespace)
    sel.cache[id(labels)] = out
    return out


def evaluate(sel, labels, namespace):
    ids = D9 if sel.twice else 0
    held = missed = 0
    for key, op, values, lower, written in sel.reqs:
        label = labels.get(key)
        if op == "In":
            true = label in values
            if written and label is not None:
                ids |= D2
            if not true and near_miss(key, lower, label, labels):
                ids |= D8
        elif op == "NotIn":
            true = label not in values
            if label is None:
                ids |= D3
            if true and near_miss(key, lower, label, labels):
                ids |= D8
        else:
            true = (label is not None) == (op == "Exists")
            ids |= D4
            if label is None and near_miss(key, lower, label, labels):
                ids |= D8
        if label == "":
            ids |= D5
        if namespace and key == NAME_KEY:
            ids |= D10
        if true:
            held += 1
        else:
            missed += 1
    if held and missed:
        ids |= D1
    return not missed, ids


# ---- peers ------------------------------------------------------------------------------------------

def peer_of(world, policy, peer, who):
    """(match, used, matched, denied, allowed)."""
    form = peer.form
    if form == "selectors":
        return selected(world, policy, peer, who)
    if form == "block":
        return in_block(peer, who)
    if form == "none":
        return False, 0, 0, B9, 0
    if form == "both":
        return False, 0, 0, B10, 0
    if form == "mapped" and (who.family == 4 and peer.cidr.lo & 0xffffffff <= who.number <= peer.cidr.hi & 0xffffffff):
        return False, 0, 0, B17, 0
    return NOTHING


def in_block(peer, who):
    block = peer.cidr
    if not block.holds(who.family, who.number):
        return False, 0, 0, B18 if block.prefix == 0 and block.family != who.family else 0, 0
    used, matched, allowed = block.odd | (B30 if peer.local else 0), BY_BLOCK, 0
    hits = 0
    for e in peer.excepts:
        if e.holds(who.family, who.number):
            hits += 1
            used |= e.odd
    if hits:
        used |= (B14 if hits > 1 else 0) | (B13 if peer.covered else 0)
        return False, used, 0, 0, B12
    return True, used, matched | (B11 if who.pod else 0), 0, allowed


def both_parts(world, policy, peer, pod):
    """(the namespace part, the pod part, ids); None for a namespace that nobody knows."""
    ids = 0
    if peer.ns is None:
        in_ns = pod.ns == policy.ns
    else:
        labels = world.namespaces.get(pod.ns)
        if labels is None:
            in_ns = None
        else:
            in_ns, ids = selects(peer.ns, labels, True)
    if peer.pod is None:
        return in_ns, True, ids
    is_pod, more = selects(peer.pod, pod.labels)
    return in_ns, is_pod, ids | more


def selected(world, policy, peer, who):
    pod = who.pod
    if pod is None:
        return no_pod(world, policy, peer, who)
    in_ns, is_pod, used = both_parts(world, policy, peer, pod)
    if in_ns is None:
        if is_pod and not peer.ns.bad and selects(peer.ns, NO_LABELS)[0]:
            used |= B24
        return False, used, 0, 0, 0
    if peer.ns is None and is_pod:
        used |= B3 if in_ns else B3 | B6
    if peer.ns is not None and peer.pod is not None and in_ns != is_pod:
        used |= B2
    if not (in_ns and is_pod):
        return False, used | (ghost(world, policy, peer, who.finished)), 0, 0, 0
    matched = BY_SELECTOR
    if peer.ns is not None and peer.pod is None:
        matched |= B4
    if peer.ns.empty if peer.pod is None else peer.ns is None and peer.pod.empty:
        matched |= B5
    if peer.nulls:
        matched |= B6
    if pod.ns == policy.ns:
        matched |= B29 if peer.ns is not None else 0
        matched |= B28 if policy.closed or selects(policy.subject, pod.labels)[0] else 0
    return True, used, matched, 0, 0


NO_LABELS = Labels({})


def ghost(world, policy, peer, pods):
    """A finished pod that had the address, which the selector would match."""
    for pod in pods:
        in_ns, is_pod, _ = both_parts(world, policy, peer, pod)
        if in_ns and is_pod:
            return D14
    return 0


def no_pod(world, policy, peer, who):
    used = ghost(world, policy, peer, who.finished)
    for pod in who.hosts:
        in_ns, is_pod, _ = both_parts(world, policy, peer, pod)
        if in_ns and is_pod:
            used |= B23
    empty = peer.ns.empty if peer.ns else peer.pod.empty
    if peer.ns and peer.pod:
        empty = empty and peer.pod.empty
    return False, used, 0, B7 if empty else 0, 0


def peers_of(world, policy, rule, who):
    """What a rule's list of peers says of the other end."""
    out = rule.peer_cache.get(who.key)
    if out is None:
        out = rule.peer_cache[who.key] = _peers_of(world, policy, rule, who)
    return out


def _peers_of(world, policy, rule, who):
    if rule.bad:
        return NOTHING
    if rule.any_peer:
        return True, 0, B8, 0, 0
    yes = 0
    used = matched = denied = allowed = 0
    for peer in rule.peers:
        m, u, on, d, a = peer_of(world, policy, peer, who)
        yes += m
        used, matched, denied, allowed = used | u, matched | on, denied | d, allowed | a
    if yes and yes < len(rule.peers):
        matched |= B1
    if rule.local and yes:
        matched |= B30
    if not yes:
        denied |= (B27 if matches_nobody(world, policy, rule) else 0)
        denied |= (B25 if wants_addressless(world, policy, rule) else 0)
    return yes > 0, used, matched, denied, allowed


def matches_nobody(world, policy, rule):
    """No pod of the world and no address at all is a peer of this rule."""
    if rule.nobody is None:
        blocks = any(p.form == "block" and not p.covered for p in rule.peers)
        rule.nobody = not blocks and not any(would_match(world, policy, p, pod) for p in rule.peers
                                             for pod in world.live)
    return rule.nobody


def wants_addressless(world, policy, rule):
    if rule.addressless is None:
        rule.addressless = any(would_match(world, policy, p, pod) for p in rule.peers for pod in world.addressless)
    return rule.addressless


def would_match(world, policy, peer, pod):
    if peer.form != "selectors":
        return False
    in_ns, is_pod, _ = both_parts(world, policy, peer, pod)
    return bool(in_ns and is_pod)


def can_allow(world, policy, rule):
    """Whether anything at all can pass by this rule."""
    if rule.dead is None:
        rule.dead = (rule.bad or not rule.any_port and all(p.form == "bad" for p in rule.ports)
                     or not rule.any_peer and matches_nobody(world, policy, rule))
    return not rule.dead


# ---- ports ------------------------------------------------------------------------------------------

def ports_of(world, rule, side, proto, port, pod):
    """What a rule's list of ports says. pod: whose named ports count (the subject for ingress, the other end for
    egress; None: nobody's)."""
    key = (proto, port, pod.index if pod else -1)
    out = rule.port_cache.get(key)
    if out is None:
        out = rule.port_cache[key] = _ports_of(world, rule, side, proto, port, pod)
    return out


def _ports_of(world, rule, side, proto, port, pod):
    if rule.bad:
        return NOTHING
    if rule.any_port:
        return True, 0, C1, 0, 0
    used = matched = denied = 0
    forms, missed, ranges = set(), set(), []
    for entry in rule.ports:
        form = entry.form
        if form == "range":
            m, u, on, d = number_of(entry, proto, port)
            if m:
                ranges.append(entry)
        elif form == "any":
            m, u, on, d = proto == entry.proto, C3 if entry.unsaid and proto in PORTED else 0, C2, 0
        elif form == "name":
            m, u, on, d = name_of(world, rule, side, entry, proto, port, pod)
        else:
            m, u, on, d = False, 0, 0, fault_of(entry, proto, port)
        used, denied = used | u, denied | d
        (forms if m else missed).add("ranges" if entry.ended else form)
        if m:
            matched |= on | (C22 if entry.twin else 0)
    if len(rule.kinds) > 1 and forms and missed:
        matched |= C21
    if ranges and touches(rule, ranges, port):
        matched |= C8
    return bool(forms), used, matched, denied, 0


def touches(rule, ranges, port):
    if len({(e.lo, e.hi) for e in ranges}) > 1:
        return True
    for e in ranges:
        for o in rule.ports:
            if o.form == "range" and o.proto == e.proto and (port == e.hi == o.lo - 1 or port == e.lo == o.hi + 1):
                return True
    return False


def number_of(entry, proto, port):
    inside, same = entry.lo <= port <= entry.hi, proto == entry.proto
    if proto not in PORTED:
        return False, 0, 0, 0
    used = C3 if entry.unsaid and inside else 0
    if not same:
        return False, used, 0, C4 if inside else 0
    if not inside:
        return False, used, 0, C7 if entry.ended and port == entry.hi + 1 else 0
    matched = C6 | (C7 if entry.ended and port > entry.lo else 0)
    if port == 65535 or port == 1 == entry.lo:
        matched |= C9
    return True, used, matched, 0


def fault_of(entry, proto, port):
    if entry.digits and entry.digits == port and proto == (entry.proto or proto):
        return C19
    return C9 if entry.outside and proto == entry.proto else 0


def name_of(world, rule, side, entry, proto, port, pod):
    if proto not in PORTED:
        return False, 0, 0, 0
    if pod is None:
        # No pod, no names: an outside address.
        return False, 0, 0, C12 if rule.any_peer else C13 if proto == entry.proto else 0
    key = (entry.name, entry.proto)
    numbers = pod.ports.get(key, ())
    elsewhere = world.numbers.get(key, ())
    used = C3 if entry.unsaid and port in numbers else 0
    if proto == entry.proto and port in numbers:
        matched = BY_NAME | (C16 if len(numbers) > 1 else 0)
        if side == INGRESS:
            matched |= C10
        else:
            matched |= (C11 if len(elsewhere) > 1 else 0) | (C12 if rule.any_peer else 0)
        if port in pod.sidecar.get(key, ()):
            matched |= C17
        if port in pod.host_ports.get(key, ()):
            matched |= C20
        return True, used, matched, 0
    return False, used, 0, name_missed(pod, entry, proto, port, side, numbers, elsewhere)


def name_missed(pod, entry, proto, port, side, numbers, elsewhere):
    key = (entry.name, entry.proto)
    others = [p for p in PORTED if p != entry.proto and (entry.name, p) in pod.ports]
    if proto != entry.proto:
        # The name is declared for the flow's protocol, the rule speaks of another one.
        return C14 if port in pod.ports.get((entry.name, proto), ()) else 0
    denied = 0
    if not numbers:
        denied |= C14 if others else C15
    if port in elsewhere and numbers:
        denied |= C11 if side else C10
    if port in pod.init.get(key, ()):
        denied |= C17
    if port in pod.ephemeral.get(key, ()):
        denied |= C18
    if port in pod.host_ports.get(key, {}).values():
        denied |= C20
    return denied
