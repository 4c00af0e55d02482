# SPDX-License-Identifier: Apache-2.0
"""bypass_bed.py - the node of the bypass suite, its ears at every receiver, and what is sent through it.

Pods of namespace t: `deny` lets nothing in or out; `one` lets TCP port 8080 in and out and nothing else; `att` (the
attacker, with raw frames) and `free` are selected by no policy. The world is a machine behind the uplink. The node
is as careless as a node can be: no rp_filter, source routes accepted, route_localnet.

Every packet that is sent carries tokens: four bytes of the suite, three of the sending, one to tell parts apart. An
ear is a packet socket at a pod's or the world's link, so it hears frames of any kind, fragments too; the node's ear
is NFLOG at the end of its input hook, behind all rules of ours.
"""
import contextlib
import os
import socket as I
import struct
import time

import craft
import wire
from harness import HarnessError, Lab

OUT4, OUT6 = "203.0.113.10", "2001:db8::10"
OTHER = 9090
POLICIES = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: t}
spec: {podSelector: {matchLabels: {app: deny}}, policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: one, namespace: t}
spec:
  podSelector: {matchLabels: {app: one}}
  policyTypes: [Ingress, Egress]
  ingress: [{ports: [{protocol: TCP, port: 8080}]}]
  egress: [{ports: [{protocol: TCP, port: 8080}]}]
"""
LOG_GROUP = 77
SOL_PACKET, PACKET_IGNORE_OUTGOING, PACKET_STATISTICS = 263, 23, 6


class Way:
    """From whom to whom; control is the same packet between ends that no policy selects."""

    def __init__(self, sender, receiver):
        self.sender, self.receiver = sender, receiver
        self.name = sender + ">" + receiver

    def control(self):
        free = {"deny": "att", "one": "att"}
        return Way(free.get(self.sender, self.sender), "free" if self.receiver in free else self.receiver)


WAYS = [Way(*w.split(">")) for w in ("att>deny", "world>deny", "deny>free", "deny>world", "deny>node",
                                     "att>one", "world>one", "one>free", "one>world", "one>node")]


class Context:
    """What a builder of packets may know about one sending."""

    def __init__(self, bed, number, way, six):
        self.bed, self.number, self.way, self.six = bed, number, way, six
        self.src, self.dst = bed.address(way.sender, six), bed.address(way.receiver, six)
        self.ident = number & 0xFFFF
        self.sport, self.dport = 10000 + number % 50000, OTHER
        self.run = bed.magic + struct.pack(">I", number)[1:]

    def token(self, sub=0):
        return self.run + bytes([sub])

    def data(self, times, sub=0):
        return self.token(sub) * times

    def at(self, src=None, dst=None):
        """The same sending between other addresses."""
        other = Context(self.bed, self.number, self.way, self.six)
        other.src, other.dst = src or self.src, dst or self.dst
        return other


class Ear:
    def __init__(self, sock, name, magic):
        self.sock, self.name, self.magic = sock, name, magic
        self.lost = 0
        sock.setsockopt(I.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        sock.setblocking(False)

    def drain(self, heard):
        while True:
            try:
                frame = self.sock.recv(70000)
            except BlockingIOError:
                return
            except OSError as e:
                if e.errno != 105:  # ENOBUFS: the kernel could not keep a record
                    raise
                self.lost += 1
                continue
            at = frame.find(self.magic)
            while at >= 0 and at + 8 <= len(frame):
                number = int.from_bytes(frame[at + 4:at + 7], "big")
                heard.setdefault(number, {}).setdefault(self.name, {}).setdefault(frame[at + 7], frame)
                at = frame.find(self.magic, at + 8)

    def dropped(self):
        if self.sock.family != I.AF_PACKET:
            return self.lost
        return struct.unpack("II", self.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]


def packet_socket(ns, device, proto):
    with ns.inside():
        s = I.socket(I.AF_PACKET, I.SOCK_RAW, 0)
        s.bind((device, proto))
    if proto:
        s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    return s


def nflog_socket(ns, group):
    """What rules of this namespace log to this group, whole, at once."""
    with ns.inside():
        s = I.socket(I.AF_NETLINK, I.SOCK_RAW, 12)
    for kind, value in ((1, b"\1"), (2, struct.pack(">IBB", 0xFFFF, 2, 0)), (5, struct.pack(">I", 1))):
        attr = struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)
        body = struct.pack("=BB", 0, 0) + struct.pack(">H", group) + attr
        s.send(struct.pack("=IHHII", 16 + len(body), 4 << 8 | 1, 5, kind, 0) + body)
        error, = struct.unpack_from("=i", s.recv(4096), 16)
        if error:
            raise OSError(-error, "nflog " + os.strerror(-error))
    return s


class Bed:
    def __init__(self, build):
        self.lab = Lab(build)
        self.magic = b"\xb7\xff\x5b" + os.urandom(1)  # read as a length or an offset it is too much
        # Above 24 bits of a day's milliseconds: an ICMP timestamp answer has the time behind what it was asked with.
        self.number = 400000
        self.heard, self.ears, self.mouths, self.macs = {}, {}, {}, {}
        # One processor: what is sent first has passed every queue of the kernel first.
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        try:
            self._build()
        except BaseException:
            self.lab.close()
            raise

    def _build(self):
        node = self.node = self.lab.node("node", ips=["192.0.2.1", "2001:db8:1::1"],
                                         ranges=["10.244.1.0/24", "fd00:10:244:1::/64"])
        self.world = self.lab.world
        self.world.add(OUT4, OUT6)
        self.world.ips = [OUT4, OUT6]
        node.write_manifest("policies.yaml", POLICIES)
        node.agent_options = ["--own-table", "off"]  # the second controls take the table away
        node.start_agent()
        self.ends = {"world": self.world, "node": node}
        for n, name in enumerate(("att", "free", "deny", "one")):
            pod = self.lab.pod(name)
            pod.attach(node, "t", name, ips=["10.244.1.%d" % (101 + n), "fd00:10:244:1::%d" % (101 + n)],
                       labels={"app": name})
            self.ends[name] = pod
        self._careless()
        self.vxlan_mac = self._vxlan()
        for name, end in self.ends.items():
            self._ear(name, end)

    def _careless(self):
        links = self.node.sh("ls /proc/sys/net/ipv4/conf").split()
        with self.node.inside():
            for link in links:
                for key, value in (("rp_filter", 0), ("accept_source_route", 1), ("route_localnet", 1),
                                   ("accept_local", 1)):
                    with open("/proc/sys/net/ipv4/conf/%s/%s" % (link, key), "w") as f:
                        f.write(str(value))
                with open("/proc/sys/net/ipv6/conf/%s/accept_source_route" % link, "w") as f:
                    f.write("1")
        # every error is made, not one a second
        for key, value in (("ipv4/icmp_ratelimit", 0), ("ipv6/icmp/ratelimit", 0), ("ipv4/icmp_msgs_per_sec", 100000),
                           ("ipv4/icmp_msgs_burst", 100000)):
            with contextlib.suppress(OSError):
                self.node.sysctl("net/" + key, value)
        for pod in ("att", "free", "deny", "one"):
            for which in ("all", "eth0"):
                self.ends[pod].sysctl("net/ipv4/conf/%s/route_localnet" % which, 1)
                self.ends[pod].sysctl("net/ipv4/conf/%s/rp_filter" % which, 0)
        self.node.sh("nft add table inet ear; nft add chain inet ear heard "
                     "'{ type filter hook input priority 200; }'; "
                     "nft add rule inet ear heard iifname != lo log group %d" % LOG_GROUP)

    def _vxlan(self):
        """The MAC of a VXLAN device of the node, None where the kernel has none."""
        p = self.node.run(["ip", "link", "add", "vx0", "type", "vxlan", "id", "1", "dstport", "8472", "local",
                           "192.0.2.1", "nolearning"], check=False)
        if p.returncode:
            return None
        self.node.ip("link set vx0 up")
        for key in ("rp_filter", "accept_local"):
            self.node.sysctl("net/ipv4/conf/vx0/" + key, 0)
        return wire.mac_bytes(self.node.sh("ip -o link show vx0").split("link/ether ")[1].split()[0])

    def _ear(self, name, end):
        if name == "node":
            self.ears[name] = Ear(nflog_socket(end, LOG_GROUP), name, self.magic)
            return
        device = "n1" if name == "world" else "eth0"
        self.ears[name] = Ear(packet_socket(end, device, 3), name, self.magic)
        self.mouths[name] = packet_socket(end, device, 0)
        if name == "world":
            own = end.sh("ip -o link show n1").split("link/ether ")[1].split()[0]
            gate = self.node.sh("ip -o link show up0").split("link/ether ")[1].split()[0]
            self.macs[name] = (wire.mac_bytes(own), wire.mac_bytes(gate))
        else:
            self.macs[name] = wire.link_macs(end)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for s in list(self.mouths.values()) + [e.sock for e in self.ears.values()]:
            s.close()
        self.lab.close()

    def address(self, name, six):
        return self.ends[name].ips[1 if six else 0]

    def mac_of(self, name):
        """The MAC of an end's own link; the node has the one that the others send to."""
        return self.macs[name][0] if name in self.macs else self.macs["world"][1]

    def link_local(self, name):
        """The link-local address that an end's kernel makes of its MAC."""
        mac = self.mac_of(name)
        return I.inet_ntop(I.AF_INET6, b"\xfe\x80" + b"\0" * 6 + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:])

    # -- sending and hearing

    def context(self, way, six):
        self.number += 1
        return Context(self, self.number, way, six)

    def frame(self, sender, item):
        own, gate = self.macs[sender]
        if isinstance(item, craft.Frame):
            return item.data
        if isinstance(item, craft.Addressed):
            kind = craft.type_of(item.packet) if item.kind is None else item.kind
            return craft.ether(item.dst_mac or gate, item.src_mac or own, kind, item.packet)
        return craft.ether(gate, own, craft.type_of(item), item)

    def send(self, c, build):
        """Build and send; returns the frames, for the report of a leak."""
        sent = []
        for item in build(c):
            sender = c.way.sender
            if isinstance(item, craft.By):
                sender, item = item
            data = self.frame(sender, item)
            self.mouths[sender].send(data)
            sent.append((sender, data))
        if self.number % 16 == 0:
            self.drain()
        return sent

    def drain(self):
        for ear in self.ears.values():
            ear.drain(self.heard)

    def settle(self, grace=0.3):
        """Until packets sent now, between ends that may speak, have been heard at every ear; and a little longer."""
        for way in ("att>free", "att>world", "att>node", "world>free", "free>att"):
            c = self.context(Way(*way.split(">")), False)
            end = time.monotonic() + 30
            while c.way.receiver not in self.heard.get(c.number, {}):
                self.send(c, lambda c: [craft.plain(c)])
                self.drain()
                if time.monotonic() > end:
                    raise HarnessError("%s does not pass" % way)
                time.sleep(0.002)
        end = time.monotonic() + grace
        while time.monotonic() < end:
            self.drain()
            time.sleep(0.01)

    def lost(self):
        return {name: n for name, n in ((e.name, e.dropped()) for e in self.ears.values()) if n}

    # -- the node without us

    def bare(self):
        """Our table is gone, and the agent with it."""
        self.node.kill_agent()
        self.node.take_rules_away()

