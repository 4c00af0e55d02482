# SPDX-License-Identifier: Apache-2.0
"""bedinstall.py - Ripstop on the cluster, by the way that its users go: image, manifests, and their removal."""
import os
import re

import bedlib
from bedcontrol import SERVER
from bedlib import BedError, run, wait_for

NAMESPACE = "ripstop-system"
MANIFESTS = os.path.join(bedlib.ROOT, "manifests")
IMAGE = re.compile(r"localhost/ripstop:[\w.-]+")


def manifest_files(folder):
    """What `kubectl apply -f FOLDER` reads: its YAML files, no sub-folders."""
    return sorted(f for f in os.listdir(folder) if f.endswith((".yaml", ".yml", ".json")))


class Install:
    """The part of Cluster that puts Ripstop on and off."""

    def image(self, version=None, build=None, make=()):
        """Build this tree's image: (archive, name). Another version or `make` variables want a `build` of their own."""
        build = os.path.abspath(build or self.build)
        version = version or bedlib.read(os.path.join(bedlib.ROOT, "VERSION")).strip()
        name, out = "localhost/ripstop:" + version, os.path.join(build, "ripstop-image-%s.tar" % version)
        argv = ["nice", "make", "-C", bedlib.ROOT, "-j2", "BUILD=" + build, "VERSION=" + version, "all"]
        run(argv + list(make), timeout=1800)
        said = run([os.path.join(bedlib.ROOT, "tools", "mkimage.py"), "--build", build, "--out", out, "--name", name],
                   timeout=900)
        self.image_listing = said.stdout
        return out, name

    def write_manifests(self, name, config=None, folder=MANIFESTS):
        """A folder of manifests as they stand, but for the image's name and more lines for ripstop.conf.

        With another dataplane those of manifests/ebpf/ take the place of their namesakes, as a user does it.
        """
        out = os.path.join(self.dir, "manifests", os.path.basename(folder.rstrip("/")))
        os.makedirs(out, exist_ok=True)
        other = os.path.join(folder, "ebpf") if self.dataplane != "nft" else ""
        for file in manifest_files(folder):
            text = bedlib.read(os.path.join(other, file)) if other else ""
            text = IMAGE.sub(name, text or bedlib.read(os.path.join(folder, file)))
            text = text.replace("    dataplane: ebpf\n", "    dataplane: %s\n" % self.dataplane)
            if config and "kind: ConfigMap" in text:
                text = text.rstrip("\n") + "\n" + "".join("    %s: %s\n" % kv for kv in config.items())
            bedlib.write(os.path.join(out, file), text)
        return out

    def install(self, version=None, build=None, make=(), config=None, wait=True):
        """`make image`, every node loads it, `kubectl apply -f manifests/`. A second install is an upgrade.

        config  more of ripstop.conf; api-server is always set: a node must come up before a Service address works
        """
        tar, name = self.image(version, build, make)
        for node in self.nodes:  # a tree built again has the same name for other bytes
            node.ctr("images", "rm", "--sync", name, check=False)
        self.load_image(tar)
        settings = {"api-server": "https://%s:6443" % SERVER}
        settings.update(config or {})
        before = {p["spec"]["containers"][0]["image"] for p in self.agents(check=False)}
        self.kubectl("apply", "-f", self.write_manifests(name, settings))
        if name in before:  # to Kubernetes nothing has changed
            self.kubectl("-n", NAMESPACE, "rollout", "restart", "daemonset/ripstop-agent")
        if wait:
            self.wait_installed()
        return name

    def wait_installed(self, seconds=240):
        """Every node has an agent that is ready, and is Ready itself."""
        try:
            self.kubectl("rollout", "status", "-n", NAMESPACE, "daemonset/ripstop-agent", "--timeout=%ds" % seconds,
                         timeout=seconds + 30)
            self.wait_nodes()
        except BedError as e:
            raise BedError("%s; see %s" % (e, self.dump("install"))) from e

    def uninstall(self):
        """As docs/install.md tells a user to."""
        name = self.agents()[0]["spec"]["containers"][0]["image"]
        self.kubectl("-n", NAMESPACE, "delete", "daemonset", "ripstop-agent", "--wait", timeout=240)
        wait_for("end of the agents", 120, lambda: not self.get("pods", NAMESPACE))
        out = self.write_manifests(name, folder=os.path.join(MANIFESTS, "uninstall"))
        self.kubectl("apply", "-f", out)
        self.kubectl("-n", NAMESPACE, "rollout", "status", "daemonset/ripstop-uninstall", "--timeout=180s", timeout=240)
        said = self.kubectl("logs", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=uninstall", "--all-containers",
                            "--prefix", check=False).stdout
        self.kubectl("delete", "--ignore-not-found", "-f", out, "-f", os.path.join(self.dir, "manifests", "manifests"),
                     timeout=300)
        return said

    def agents(self, check=True):
        """The agents' pods, by node name."""
        try:
            pods = self.get("pods", NAMESPACE, "app.kubernetes.io/component=agent")
        except BedError:
            if check:
                raise
            pods = []
        pods = [p for p in pods if not p["metadata"].get("deletionTimestamp")]
        if check and not pods:
            raise BedError("no agent runs")
        return sorted(pods, key=lambda p: p["spec"].get("nodeName", ""))

    def agent_on(self, node_name):
        for pod in self.agents():
            if pod["spec"].get("nodeName") == node_name:
                return pod
        raise BedError("no agent on " + node_name)

    def ripstop(self, node_name, *args, check=True):
        """The command line in the agent's pod of a node."""
        return self.exec(NAMESPACE, self.agent_on(node_name)["metadata"]["name"], "ripstop", *args, check=check,
                         container="agent")
