# SPDX-License-Identifier: Apache-2.0
"""bedcontrol.py - the control plane: certificates, etcd, kube-apiserver, controller manager, scheduler.

They live in the LAN's network namespace, at 10.77.0.1, and in the machine's other namespaces.
"""
import os

import bedlib
from bedlib import Hopeless, run, wait_for, write_json

SERVER = "10.77.0.1"
ETCD = "http://127.0.0.1:2379"
NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


class Pki:
    """A certificate authority for one run."""

    def __init__(self, folder):
        self.dir = folder
        self.ca, self.ca_key, self.sa_key = (self.at(n) for n in ("ca.crt", "ca.key", "sa.key"))

    def at(self, name):
        return os.path.join(self.dir, name)

    def make(self):
        os.makedirs(self.dir)
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", self.ca_key, "-out", self.ca, "-subj", "/CN=ripstop-test-ca", "-days", "2"])
        run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.sa_key])

    def issue(self, name, subject, alt=""):
        """Certificate and key NAME.crt, NAME.key."""
        key, crt, csr, ext = (self.at(name + end) for end in (".key", ".crt", ".csr", ".ext"))
        run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
             "-out", csr, "-subj", subject])
        bedlib.write(ext, "subjectAltName=%s\n" % alt if alt else "")
        run(["openssl", "x509", "-req", "-in", csr, "-CA", self.ca, "-CAkey", self.ca_key, "-CAcreateserial",
             "-days", "2", "-out", crt, "-extfile", ext])
        return crt, key


class ControlPlane:
    """start() and stop() of all; start_one("kube-apiserver") and stop_one() for an outage."""

    def __init__(self, cluster):
        self.cluster, self.pki = cluster, Pki(os.path.join(cluster.dir, "pki"))
        self.logs = os.path.join(cluster.dir, "control")

    def kubeconfig(self, user):
        return os.path.join(self.cluster.dir, user + ".kubeconfig")

    def make_credentials(self):
        self.pki.make()
        self.pki.issue("kube-apiserver", "/CN=kube-apiserver",
                       "IP:%s,IP:fd77::1,IP:127.0.0.1,IP:10.96.0.1,IP:fd00:10:96::1,DNS:localhost,DNS:kubernetes,"
                       "DNS:kubernetes.default,DNS:kubernetes.default.svc" % SERVER)
        self.user("admin", "/O=system:masters/CN=admin")
        for name in ("kube-controller-manager", "kube-scheduler", "kube-proxy"):
            self.user(name, "/CN=system:" + name)
        for node in self.cluster.nodes:
            self.user(node.name, "/O=system:nodes/CN=system:node:" + node.name)

    def user(self, name, subject):
        """A client certificate, and a kubeconfig that uses it."""
        crt, key = self.pki.issue(name, subject)
        write_json(self.kubeconfig(name), {
            "apiVersion": "v1", "kind": "Config", "current-context": name,
            "clusters": [{"name": "bed", "cluster": {"server": "https://%s:6443" % SERVER,
                                                     "certificate-authority": self.pki.ca}}],
            "users": [{"name": name, "user": {"client-certificate": crt, "client-key": key}}],
            "contexts": [{"name": name, "context": {"cluster": "bed", "user": name}}]})

    # -- processes

    def argv(self, name):
        c, pki = self.cluster, self.pki
        services = ",".join(c.service_cidrs)
        if name == "etcd":
            return ["etcd", "--data-dir", os.path.join(c.dir, "etcd"), "--listen-client-urls", ETCD,
                    "--advertise-client-urls", ETCD, "--listen-peer-urls", "http://127.0.0.1:2380", "--unsafe-no-fsync"]
        if name == "kube-apiserver":
            return [name, "--etcd-servers=" + ETCD, "--secure-port=6443", "--advertise-address=" + SERVER,
                    "--cert-dir=" + self.logs, "--tls-cert-file=" + pki.at("kube-apiserver.crt"),
                    "--tls-private-key-file=" + pki.at("kube-apiserver.key"), "--client-ca-file=" + pki.ca,
                    "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
                    "--allow-privileged", "--service-account-issuer=https://kubernetes.default.svc",
                    "--service-account-key-file=" + pki.sa_key, "--service-account-signing-key-file=" + pki.sa_key,
                    "--service-cluster-ip-range=" + services,
                    "--kubelet-client-certificate=" + pki.at("admin.crt"),
                    "--kubelet-client-key=" + pki.at("admin.key"),
                    "--kubelet-preferred-address-types=InternalIP"] + c.apiserver_options
        common = [name, "--kubeconfig=" + self.kubeconfig(name), "--leader-elect=false"]
        if name == "kube-scheduler":
            return common
        return common + ["--use-service-account-credentials", "--service-account-private-key-file=" + pki.sa_key,
                         "--root-ca-file=" + pki.ca, "--allocate-node-cidrs", "--cluster-cidr=" + ",".join(c.pod_cidrs),
                         "--service-cluster-ip-range=" + services]

    def pid_path(self, name):
        return os.path.join(self.logs, name + ".pid")

    def start_one(self, name):
        os.makedirs(self.logs, exist_ok=True)
        env = {"PATH": self.cluster.path, "HOME": self.cluster.dir, "LANG": "C.UTF-8"}
        log = os.path.join(self.logs, name + ".log")
        bedlib.spawn(self.cluster.lan.argv(self.argv(name)), log, self.pid_path(name), env)

    def stop_one(self, name):
        bedlib.end_process(self.pid_path(name), seconds=30)

    def running(self, name):
        return bool(bedlib.noted_pid(self.pid_path(name)))

    def wait_ready(self, seconds=180):
        def ready():
            for name in ("etcd", "kube-apiserver"):
                if not self.running(name):
                    raise Hopeless("%s ended: %s" % (name, bedlib.tail(os.path.join(self.logs, name + ".log"), 5)))
            return self.cluster.kubectl("get", "--raw", "/readyz", check=False).returncode == 0
        wait_for("kube-apiserver", seconds, ready)

    def start(self):
        for name in ("etcd", "kube-apiserver"):
            self.start_one(name)
        self.wait_ready()
        for name in ("kube-controller-manager", "kube-scheduler"):
            self.start_one(name)

    def stop(self):
        for name in reversed(NAMES):
            self.stop_one(name)


def node_ready(node):
    """Is the Ready condition of a Node object True?"""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node.get("status", {}).get("conditions", []))


def pod_ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", []))
