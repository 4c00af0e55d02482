# SPDX-License-Identifier: Apache-2.0
"""For each id that oracle2 counts: a flow that exercises it and its nearest neighbour that does not.

CASES: id -> ((verdict, case with the hit), (verdict, case without)). FAULTS: what becomes of bad objects.
The flow is x/a to x/b on TCP 80 where nothing else is said; pods x/a, x/b and y/a lie on node n1, x/c on n2;
pods have the label app with their name.
"""

A, B, C = {"podSelector": {"matchLabels": {"app": "a"}}}, {"podSelector": {"matchLabels": {"app": "b"}}}, \
    {"podSelector": {"matchLabels": {"app": "c"}}}
NOBODY = {"podSelector": {"matchLabels": {"app": "nobody"}}}
TCP80 = {"protocol": "TCP", "port": 80}
PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "gre": 47}


def block(cidr, *excepts):
    return {"ipBlock": {"cidr": cidr, "except": list(excepts)}}


def ns_is(name):
    return {"namespaceSelector": {"matchLabels": {"ns": name}}}


def pod(name, ip, ns="x", app=None, phase="Running", labels=None, ports=(), spec=None):
    # ports: name, protocol, number, perhaps a hostPort
    ports = [dict(zip(("name", "protocol", "containerPort", "hostPort"), p)) for p in ports]
    labels = {"app": app or name, **(labels or {})}
    return {"kind": "Pod", "metadata": {"name": name, "namespace": ns, "labels": labels},
            "spec": {"containers": [{"name": "c", "ports": ports}], **(spec or {})},
            "status": {"phase": phase, "podIPs": [{"ip": ip}] if ip else []}}


def policy(subject=B, types=None, ns="x", **lists):
    """ingress=, egress=; types None leaves policyTypes out."""
    return {"kind": "NetworkPolicy", "metadata": {"name": "", "namespace": ns},
            "spec": {**(subject or {}), **({"policyTypes": types} if types is not None else {}), **lists}}


def into(*rules, **kw):
    return policy(types=["Ingress"], ingress=list(rules), **kw)


def out(*rules, subject=A):
    return policy(subject, ["Egress"], egress=list(rules))


def peers(*p):
    return into({"from": list(p)})


def ports(*p):
    return into({"ports": list(p)})


def pods_with(*p, **kw):
    """A selector peer by expressions."""
    return {"podSelector": {"matchExpressions": [dict(zip(("key", "operator", "values"), e)) for e in p], **kw}}


def case(*policies, flow="x/a x/b tcp/80", extra=(), without=(), lenient=False, deleting=False):
    """extra: objects that replace or join the usual ones; without: names of usual ones that are left out."""
    objects = {"Namespace x": {"kind": "Namespace", "metadata": {"name": "x", "labels": {"ns": "x"}}},
               "Namespace y": {"kind": "Namespace", "metadata": {"name": "y", "labels": {"ns": "y"}}}}
    if deleting:
        objects["Namespace x"]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    usual = [pod("a", "10.244.1.1"), pod("b", "10.244.1.2"), pod("c", "10.244.2.3"), pod("a", "10.244.1.4", ns="y")]
    for o in usual + list(extra):
        objects[f"{o['kind']} {o['metadata'].get('namespace')}/{o['metadata']['name']}"] = o
    for name in without:
        del objects[name]
    for i, p in enumerate(policies):
        p = {**p, "metadata": {**p["metadata"], "name": f"p{i}"}}
        objects[f"NetworkPolicy {i}"] = p
    src, dst, what = flow.split()
    name, _, number = what.partition("/")
    world = {"lenient": lenient, "podRanges": ["10.244.0.0/16"],
             "nodes": [{"name": "n1", "ranges": ["10.244.1.0/24"], "addresses": ["192.0.2.1"]},
                       {"name": "n2", "ranges": ["10.244.2.0/24"], "addresses": ["192.0.2.2"]}],
             "hosts": [{"name": "out", "addresses": ["192.0.2.10"]}, {"name": "was", "addresses": ["10.244.2.9"]}]}
    return {"objects": list(objects.values()), "world": world,
            "flows": [{"src": end(src), "dst": end(dst), "proto": PROTOCOLS[name], "port": int(number or 0),
                       "family": 4}]}


def end(word):
    return {"pod" if "/" in word else "node" if word in ("n1", "n2") else "host": word}


def allow(*args, **kw):
    return True, case(*args, **kw)


def deny(*args, **kw):
    return False, case(*args, **kw)


def serves(*numbers, name="b", ip="10.244.1.2", proto="TCP", **kw):
    """A pod whose ports are all called web."""
    return pod(name, ip, ports=[("web", proto, n) for n in numbers], **kw)


WEB = {"protocol": "TCP", "port": "web"}
HOST = {"hostNetwork": True, "nodeName": "n2"}
INIT = {"initContainers": [{"name": "i", "ports": [{"name": "web", "containerPort": 80}]}]}
SIDECAR = {"initContainers": [{"name": "i", "restartPolicy": "Always", "ports": INIT["initContainers"][0]["ports"]}]}
EPHEMERAL = {"ephemeralContainers": INIT["initContainers"]}
NAMED_X = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "x"}}}
CUT = block("10.244.0.0/16", "10.244.1.0/24")
ANY = {"podSelector": {}}

CASES = {
    "A1": (allow(policy(types=["Egress"])), allow()),
    "A2": (deny(policy()), deny(policy(types=["Ingress"]))),
    "A3": (allow(policy(types=["Egress"], ingress=[{"from": [NOBODY]}])), allow(policy(types=["Egress"]))),
    "A4": (allow(policy(A, ["Ingress"], egress=[{"to": [NOBODY]}])), allow(policy(A, ["Ingress"]))),
    "A5": (deny(out()), deny(out({"to": [NOBODY]}))),
    "A6": (deny(policy(types=["Ingress"], ingress=None)), deny(peers(NOBODY))),
    "A7": (allow(out({}), flow="x/a x/b gre"), allow(out({}))),
    "A8": (deny(into(subject=ANY)), deny(into())),
    "A9": (deny(into(subject=None)), deny(into(subject=ANY))),
    "A10": (allow(into(), peers(A)), allow(peers(A), peers(A))),
    "A11": (deny(peers(NOBODY)), deny(peers(C))),
    "A12": (allow(into(ns="y")), allow(into(ns="y", subject=C))),
    "A13": (allow(into(), flow="x/a n2 tcp/80", extra=[pod("h", "192.0.2.2", app="b", spec=HOST)]),
            allow(into(), flow="x/a n2 tcp/80", extra=[pod("h", "192.0.2.2", spec=HOST)])),
    "A14": (allow(into({}), out(subject=B)), allow(policy(types=["Ingress", "Egress"], ingress=[{}]))),
    "A15": (deny(out({}), into()), deny(out(), into())),
    "A16-one-node": (allow(into({})), allow(into({}), flow="x/c x/b tcp/80")),
    "A16-two-nodes": (allow(into({}), flow="x/c x/b tcp/80"), allow(into({}))),
    "A18": (deny(into(), deleting=True), deny(into())),
    "A19": (deny(*[into()] * 10), deny(*[into()] * 9)),
    "A20": (deny(into(), extra=[pod("b", "10.244.1.2", phase="Pending")]), deny(into())),
    "B1": (allow(peers(NOBODY, A)), allow(peers(A))),
    "B2": (deny(peers({**ns_is("y"), **A})), allow(peers({**ns_is("y"), **A}), flow="y/a x/b tcp/80")),
    "B3": (deny(peers(A), flow="y/a x/b tcp/80"), deny(peers({**ns_is("x"), **A}), flow="y/a x/b tcp/80")),
    "B4": (allow(peers(ns_is("x"))), deny(peers(ns_is("y")))),
    "B5": (allow(peers({"namespaceSelector": {}})), allow(peers(ns_is("x")))),
    "B6": (deny(peers(A), flow="y/a x/b tcp/80"), allow(peers(A))),
    "B7": (deny(peers({"namespaceSelector": {}}), flow="out x/b tcp/80"), allow(peers({"namespaceSelector": {}}))),
    "B8": (allow(ports(TCP80), flow="out x/b tcp/80"), allow(into({"from": [A], "ports": [TCP80]}))),
    "B9": (deny(peers({}), lenient=True), deny(peers(NOBODY))),
    "B10": (deny(peers({**block("10.0.0.0/8"), **A}), lenient=True), allow(peers(block("10.0.0.0/8"), A))),
    "B11": (allow(peers(block("10.244.1.0/24"))), allow(peers(block("192.0.2.0/24")), flow="out x/b tcp/80")),
    "B12": (allow(peers(CUT, A)), deny(peers(CUT))),
    "B13": (deny(peers(block("10.244.1.0/24", "10.244.1.128/25", "10.244.1.0/25"))),
            deny(peers(block("10.244.1.0/24", "10.244.1.0/25")))),
    "B14": (deny(peers(block("10.0.0.0/8", "10.244.1.0/24", "10.244.0.0/16"))), deny(peers(CUT))),
    "B15": (allow(peers(block("10.244.1.99/24"))), allow(peers(block("10.244.1.0/24")))),
    "B16": (allow(peers(block("010.244.001.0/24"))), allow(peers(block("10.244.1.0/24")))),
    "B17": (deny(peers(block("::ffff:10.244.0.0/112"))), deny(peers(block("::ffff:10.9.0.0/112")))),
    "B18": (deny(peers(block("::/0"))), allow(peers(block("0.0.0.0/0")))),
    "B19": (allow(into({"from": [block("10.0.0.0/8")], "ports": [TCP80]},
                       {"from": [block("10.244.0.0/16")], "ports": [{"port": 443}]})),
            allow(into({"from": [block("10.0.0.0/8")], "ports": [TCP80]},
                       {"from": [block("10.244.0.0/16")], "ports": [TCP80]}))),
    "B23": (deny(peers(A), flow="n2 x/b tcp/80", extra=[pod("h", "192.0.2.2", app="a", spec=HOST)]),
            deny(peers(A), flow="n2 x/b tcp/80", extra=[pod("h", "192.0.2.2", spec=HOST)])),
    "B24": (deny(peers({"namespaceSelector": {}}), flow="y/a x/b tcp/80", without=["Namespace y"], lenient=True),
            allow(peers({"namespaceSelector": {}}), flow="y/a x/b tcp/80", lenient=True)),
    "B25": (deny(peers(NOBODY), extra=[pod("nobody", None)]), deny(peers(NOBODY), extra=[pod("nobody", "10.244.1.9")])),
    "B26": (allow(peers(C), flow="x/c x/b tcp/80"), allow(peers(A))),
    "B27": (deny(peers(NOBODY)), deny(peers(C))),
    "B28": (allow(into({"from": [ANY]}, subject=ANY)), allow(into({"from": [ANY]}))),
    "B29": (allow(peers(ns_is("x"))), allow(peers(ns_is("y")), flow="y/a x/b tcp/80")),
    "B30": (allow(peers(block("169.254.0.0/16"), A)), allow(peers(block("172.16.0.0/12"), A))),
    "C1": (allow(peers(A)), allow(ports(TCP80))),
    "C2": (allow(ports({"protocol": "TCP"})), allow(ports(TCP80))),
    "C3": (allow(ports({"port": 80})), allow(ports(TCP80))),
    "C4": (deny(ports({"protocol": "UDP", "port": 80})), deny(ports({"protocol": "UDP", "port": 81}))),
    "C5": (deny(ports({"protocol": "UDP", "port": 53})), deny(ports({"protocol": "TCP", "port": 53}))),
    "C6": (allow(ports(TCP80)), allow(ports({"protocol": "TCP"}))),
    "C7": (allow(ports({"port": 79, "endPort": 80})), allow(ports({"port": 80, "endPort": 90}))),
    "C8": (allow(ports({"port": 70, "endPort": 80}, {"port": 81, "endPort": 90})),
           allow(ports({"port": 70, "endPort": 80}, {"port": 82, "endPort": 90}))),
    "C9": (allow(ports({"port": 60000, "endPort": 65535}), flow="x/a x/b tcp/65535"),
           allow(ports({"port": 60000, "endPort": 65535}), flow="x/a x/b tcp/65534")),
    "C10": (allow(ports(WEB), extra=[serves(80)]), deny(ports(WEB), extra=[serves(81)])),
    "C11": (allow(out({"to": [ANY], "ports": [WEB]}), extra=[serves(80), serves(81, name="c", ip="10.244.2.3")]),
            allow(out({"to": [ANY], "ports": [WEB]}), extra=[serves(80), serves(80, name="c", ip="10.244.2.3")])),
    "C12": (allow(out({"ports": [WEB]}), extra=[serves(80)]),
            allow(out({"to": [B], "ports": [WEB]}), extra=[serves(80)])),
    "C13": (deny(out({"to": [block("192.0.2.0/24")], "ports": [WEB]}), flow="x/a out tcp/80", extra=[serves(80)]),
            deny(out({"to": [block("10.9.0.0/16")], "ports": [WEB]}), flow="x/a out tcp/80", extra=[serves(80)])),
    "C14": (deny(ports(WEB), extra=[serves(80, proto="UDP")], flow="x/a x/b udp/80"),
            allow(ports(WEB), extra=[serves(80)])),
    "C15": (deny(ports(WEB)), allow(ports(WEB), extra=[serves(80)])),
    "C16": (allow(ports(WEB), extra=[serves(81, 80)]), allow(ports(WEB), extra=[serves(80)])),
    "C17": (allow(ports(WEB), extra=[pod("b", "10.244.1.2", spec=SIDECAR)]), allow(ports(WEB), extra=[serves(80)])),
    "C18": (deny(ports(WEB), extra=[pod("b", "10.244.1.2", spec=EPHEMERAL)], lenient=True), deny(ports(WEB))),
    "C19": (deny(ports({"port": "80"}), lenient=True), deny(ports({"port": "81"}), lenient=True)),
    "C20": (allow(ports(WEB), extra=[pod("b", "10.244.1.2", ports=[("web", "TCP", 80, 8080)])]),
            allow(ports(WEB), extra=[serves(80)])),
    "C21": (allow(ports(TCP80, WEB), extra=[serves(81)]), allow(ports(TCP80, {"protocol": "TCP", "port": 81}))),
    "C22": (allow(ports(TCP80, TCP80)), allow(ports(TCP80, {"port": 81}))),
    "C23": (deny(ports(TCP80), flow="x/a x/b icmp"), allow(ports(TCP80))),
    "C27": (allow(peers(A), flow="x/a x/b gre"), allow(peers(A), flow="x/a x/b icmp")),
    "D1": (deny(peers(pods_with(("app", "Exists"), ("zone", "Exists")))), allow(peers(pods_with(("app", "Exists"))))),
    "D2": (allow(peers(pods_with(("app", "In", ["b", "a"])))), allow(peers(A))),
    "D3": (allow(peers(pods_with(("zone", "NotIn", ["z"])))), allow(peers(pods_with(("app", "NotIn", ["z"]))))),
    "D4": (allow(peers(pods_with(("zone", "DoesNotExist")))), allow(peers(A))),
    "D5": (allow(peers(pods_with(("e", "Exists"))), extra=[pod("a", "10.244.1.1", labels={"e": ""})]),
           allow(peers(pods_with(("e", "Exists"))), extra=[pod("a", "10.244.1.1", labels={"e": "f"})])),
    "D6": (deny(peers(pods_with(("app", "NotIn", []))), lenient=True),
           allow(peers(pods_with(("app", "NotIn", ["z"]))))),
    "D7": (deny(into(subject=pods_with(("app", "Gt", ["1"]))), lenient=True), deny(into(subject=ANY))),
    "D8": (deny(peers(pods_with(("app", "In", ["A"])))), deny(peers(pods_with(("app", "In", ["z"]))))),
    "D9": (deny(peers(pods_with(("app", "Exists"), matchLabels={"app": "z"}))), deny(peers(NOBODY))),
    "D10": (allow(peers(NAMED_X)), allow(peers(ns_is("x")))),
    "D14": (deny(peers(C), flow="was x/b tcp/80", extra=[pod("f", "10.244.2.9", app="c", phase="Succeeded")]),
            deny(peers(C), flow="was x/b tcp/80", extra=[pod("f", "10.244.2.9", phase="Succeeded")])),
}


def bad(**spec):
    return {"kind": "NetworkPolicy", "metadata": {"name": "", "namespace": "x"}, "spec": {**B, **spec}}


TWIN = pod("twin", "10.244.1.1", app="a", spec={"nodeName": "n1"})  # says that it holds x/a's address
LIAR = pod("liar", "10.244.2.9", app="c", spec={"nodeName": "n1"})  # an address of n2's
RANGES = {"kind": "Node", "metadata": {"name": "n1"}, "spec": {"podCIDRs": ["10.244.1.0/24"]}}
TWO_TYPES = bad(policyTypes=["Ingress", "Forward"], ingress=[{}], egress=[{}])

# What a fault does: it allows nothing. (what, (verdict, case))
FAULTS = [
    ("an unknown type beside Ingress: ingress by its rules", allow(TWO_TYPES, lenient=True)),
    ("and egress closed, whatever its rules", deny(TWO_TYPES, flow="x/b x/a tcp/80", lenient=True)),
    ("an unknown type alone closes ingress", deny(bad(policyTypes=["Forward"], ingress=[{}]), lenient=True)),
    ("types that are no list", deny(bad(policyTypes="Egress", egress=[{}]), flow="x/b x/a tcp/80", lenient=True)),
    ("rules that are no list close the namespace", deny(bad(ingress={}), flow="x/b x/a tcp/80", lenient=True)),
    ("a spec that is none closes the namespace",
     deny({**into(), "spec": []}, flow="x/b x/a tcp/80", lenient=True)),
    ("a null rule", deny(bad(ingress=[None]), lenient=True)),
    ("a rule that is good beside it", allow(bad(ingress=[None, {}]), lenient=True)),
    ("peers that are no list", deny(bad(ingress=[{"from": {}}]), lenient=True)),
    ("peers that are null: anybody", allow(bad(ingress=[{"from": None}]), lenient=True)),
    ("ports that are no list", deny(bad(ingress=[{"ports": 80}]), lenient=True)),
    ("a null port", deny(ports(None), lenient=True)),
    ("a bad port and a good one", allow(ports({"port": 0}, TCP80), lenient=True)),
    ("an unknown protocol", deny(ports({"protocol": "ICMP", "port": 80}, {"protocol": "tcp"}), lenient=True)),
    ("endPort without port, before port, of a name",
     deny(ports({"endPort": 90}, {"port": 90, "endPort": 70}, {"port": "web", "endPort": 90}), extra=[serves(80)],
          lenient=True)),
    ("80.0 and true are no numbers", deny(ports({"port": 80.0}, {"port": True}), lenient=True)),
    ("an except outside of its block", deny(peers(block("10.244.1.0/24", "10.9.0.0/16")), lenient=True)),
    ("an except as long as its block", deny(peers(block("10.244.1.0/24", "10.244.1.0/24")), lenient=True)),
    ("an except that is none", deny(peers(block("10.244.0.0/16", "10.9.0.0")), lenient=True)),
    ("an except of the other family", deny(peers(block("10.244.0.0/16", "::/1")), lenient=True)),
    ("a v4-mapped except", deny(peers(block("10.244.0.0/16", "::ffff:10.244.9.0/120")), lenient=True)),
    ("an operator in lower case", deny(peers(pods_with(("app", "exists"))), lenient=True)),
    ("a value that is no label value", deny(peers(pods_with(("app", "NotIn", ["a b"]))), lenient=True)),
    ("an unknown field beside a known one", allow(peers({**A, "later": 1}), lenient=True)),
    ("an invalid subject isolates every pod", deny(into({}, subject=pods_with(("app", "In"))), lenient=True)),
    ("in the policy's directions only",
     allow(into({}, subject=pods_with(("app", "In"))), flow="x/a out tcp/80", lenient=True)),
    ("and its rules do not count beside another policy",
     deny(into({}, subject=pods_with(("app", "In"))), into(), lenient=True)),
    ("two pods at one address: both must be allowed",
     deny(peers({"podSelector": {"matchLabels": {"role": "x"}}}), lenient=True,
          extra=[pod("a", "10.244.1.1", labels={"role": "x"}), TWIN])),
    ("and both are", allow(peers(A), lenient=True, extra=[TWIN])),
    ("an address outside of its node's ranges is nobody's",
     deny(peers(C), flow="was x/b tcp/80", extra=[LIAR, RANGES], lenient=True)),
    ("inside of the cluster's where the node's are not known",
     allow(peers(C), flow="was x/b tcp/80", extra=[LIAR], lenient=True)),
    ("pods of an unknown namespace are subjects of its policies",
     deny(into(), without=["Namespace x"], lenient=True)),
    ("and peers by podSelector alone", allow(peers(A), without=["Namespace x"], lenient=True)),
    ("a folder's namespace has its name as a label", allow(peers(NAMED_X), without=["Namespace x"])),
    ("a namespace of the API has the labels it has", deny(peers(NAMED_X), lenient=True)),
    ("a label's null is an empty value",
     allow(peers(pods_with(("e", "In", [""]))), extra=[pod("a", "10.244.1.1", labels={"e": None})], lenient=True)),
    ("a namespace whose labels are none is unknown",
     deny(peers({"namespaceSelector": {}}), lenient=True, without=["Namespace x"],
          extra=[{"kind": "Namespace", "metadata": {"name": "x", "labels": {"n": 1}}}])),
    ("a policy whose labels are none closes its namespace",
     deny({**into({}), "metadata": {"namespace": "x", "labels": []}}, flow="x/b x/a tcp/80", lenient=True)),
]
