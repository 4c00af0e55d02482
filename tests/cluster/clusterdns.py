#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clusterdns.py - names of Services for the cluster: just enough of a DNS server for the upstream suite.

    clusterdns.py ADDRESS KUBECTL KUBECONFIG

Answers name.namespace.svc.cluster.local by UDP from a watch of the Services: A and AAAA of their cluster addresses,
CNAME of an ExternalName. Any other name does not exist; nobody else is asked.
"""
import contextlib
import ipaddress
import json
import os
import select
import socket
import struct
import subprocess
import sys

import bedlib
from bedcontrol import SERVER

DOMAIN = "svc.cluster.local"
PORT = 53
SERVICE_IP = "10.96.0.10"  # what the kubelets tell every pod
A, CNAME, AAAA, IN = 1, 5, 28, 1
NO_ERROR, NO_NAME = 0, 3
TTL = 1


class Services:
    """name.namespace -> ([address], external name), kept by a watch that kubectl holds."""

    def __init__(self, kubectl, kubeconfig):
        self.argv = [kubectl, "--kubeconfig=" + kubeconfig, "get", "services", "--all-namespaces", "--watch",
                     "--output-watch-events", "--output=json"]
        self.known, self.text, self.process = {}, "", None

    def watch(self):
        """The stream to select() on; a new one, with the whole list again, where the last one has ended."""
        if not self.process:
            self.known, self.text = {}, ""
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        return self.process.stdout

    def read(self):
        data = os.read(self.process.stdout.fileno(), 1 << 16)
        if not data:
            self.close()
            return
        self.text += data.decode(errors="replace")
        while True:
            self.text = self.text.lstrip()
            try:
                event, end = json.JSONDecoder().raw_decode(self.text)
            except ValueError:
                return  # the rest comes later
            self.text = self.text[end:]
            self._take(event)

    def _take(self, event):
        meta, spec = event["object"]["metadata"], event["object"].get("spec") or {}
        name = ("%s.%s" % (meta["name"], meta["namespace"])).lower()
        if event["type"] == "DELETED":
            self.known.pop(name, None)
        else:
            addresses = [ipaddress.ip_address(a) for a in spec.get("clusterIPs") or [] if a != "None"]
            self.known[name] = (addresses, (spec.get("externalName") or "").lower())

    def find(self, name):
        """(addresses, external name), or None where there is no such Service."""
        if not name.endswith("." + DOMAIN):
            return None
        return self.known.get(name[:-len(DOMAIN) - 1])

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None


def encoded(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def question(packet):
    """(name, type, the question's bytes) of a query with one question; raises ValueError at anything else."""
    ident, flags, many = struct.unpack_from("!HHH", packet)
    if many != 1 or flags & 0xF800:
        raise ValueError("no plain query: %04x" % ident)
    at, labels = 12, []
    while packet[at]:
        if packet[at] > 63:
            raise ValueError("a pointer in a question")
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("ascii"))
        at += 1 + packet[at]
    kind, what = struct.unpack_from("!HH", packet, at + 1)
    if what != IN:
        raise ValueError("another class")
    return ".".join(labels).lower(), kind, packet[12:at + 5]


def records(services, name, kind):
    """(code, [(owner, type, data)]) for a name; an external name is followed once, within the cluster."""
    found = services.find(name)
    if found is None:
        return NO_NAME, []
    addresses, external = found
    out, owner = [], name
    if external:
        out.append((name, CNAME, encoded(external)))
        owner, addresses = external, (services.find(external) or ([], ""))[0]
    out += [(owner, A if a.version == 4 else AAAA, a.packed) for a in addresses
            if kind == (A if a.version == 4 else AAAA)]
    return NO_ERROR, out


def answer(services, packet):
    """The answer to a packet, or None where it deserves none."""
    try:
        name, kind, asked = question(packet)
    except (ValueError, IndexError, struct.error):
        return None
    code, found = records(services, name, kind)
    flags = 0x8400 | struct.unpack_from("!H", packet, 2)[0] & 0x0100 | 0x80 | code
    out = packet[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0) + asked
    for owner, what, data in found:
        out += encoded(owner) + struct.pack("!HHIH", what, IN, TTL, len(data)) + data
    return out


def serve(address, kubectl, kubeconfig):
    services = Services(kubectl, kubeconfig)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((address, PORT))
        print("clusterdns: answers at %s:%d" % (address, PORT), flush=True)
        try:
            while True:
                stream = services.watch()
                ready, _, _ = select.select([udp, stream], [], [])
                if stream in ready:
                    services.read()
                elif udp in ready:
                    packet, client = udp.recvfrom(4096)
                    said = answer(services, packet)
                    with contextlib.suppress(OSError):
                        if said:
                            udp.sendto(said, client)
        finally:
            services.close()


def _objects(address):
    """kube-dns as a cluster has it, but its endpoint is our server beside the API server."""
    meta = {"name": "kube-dns", "namespace": "kube-system"}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {
        "clusterIP": SERVICE_IP, "ports": [{"name": "dns", "protocol": "UDP", "port": 53, "targetPort": PORT}]}}
    part = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": dict(meta, labels={"kubernetes.io/service-name": "kube-dns"}),
            "ports": [{"name": "dns", "protocol": "UDP", "port": PORT}], "endpoints": [{"addresses": [address]}]}
    return service, part


@contextlib.contextmanager
def serving(cluster):
    """While the block runs, pods of the cluster find Services by name."""
    pid, log = os.path.join(cluster.dir, "clusterdns.pid"), os.path.join(cluster.dir, "clusterdns.log")
    bedlib.write(log, "")
    bedlib.spawn(cluster.lan.argv([sys.executable, "-B", os.path.abspath(__file__), SERVER,
                                   os.path.join(cluster.programs.bin, "kubectl"), cluster.kubeconfig]), log, pid)
    try:
        bedlib.wait_for("the cluster's DNS server", 30, lambda: "answers at" in bedlib.read(log, ""))
        cluster.apply(*_objects(SERVER))
        yield
    finally:
        with contextlib.suppress(bedlib.BedError):
            cluster.delete("service", "kube-dns", "kube-system")
            cluster.delete("endpointslice", "kube-dns", "kube-system")
        bedlib.end_process(pid)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        serve(*sys.argv[1:])
