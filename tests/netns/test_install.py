#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ripstop-agent install`, the conflist that the agent keeps, the plugin that it watches, and the image.

    test_install.py [--build DIR] [NAME...]
"""
import argparse
import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import harness  # noqa: E402
from harness import ROOT, Lab, patience  # noqa: E402

CONFLIST = "05-ripstop.conflist"
CHROOT = shutil.which("chroot") or "/usr/sbin/chroot"


def expect(truth, what):
    if not truth:
        raise AssertionError(what)


def until(what, why, seconds=15):
    end = time.monotonic() + patience(seconds)
    while time.monotonic() < end:
        if what():
            return
        time.sleep(0.05)
    raise AssertionError(why() if callable(why) else why)


class Bed:
    """A node whose runtime folders are our own."""

    def __init__(self, lab):
        self.lab = lab
        self.node = lab.node("n1")
        self.bin = os.path.join(self.node.dir, "bin")
        self.conf = os.path.join(self.node.dir, "net.d")
        os.makedirs(self.conf)
        self.plugin = os.path.join(self.bin, "ripstop")
        self.conflist = os.path.join(self.conf, CONFLIST)
        self.folders = ["--cni-bin-dir", self.bin, "--cni-conf-dir", self.conf]
        self.node.agent_options = ["--install-conflist=on"] + self.folders

    def install(self, *more, check=True):
        p = harness.run([self.lab.program("ripstop-agent"), "install"] + self.folders + list(more), check=check)
        return p

    def uninstall(self, *more):
        argv = self.node.agent_argv(*more)
        return self.node.run(argv[:1] + ["uninstall"] + argv[1:], check=False)

    def conditions(self):
        return ["%s: %s" % (c["type"], c["message"]) for c in self.node.ctl("status").get("conditions", [])]

    def wait_condition(self, *words):
        until(lambda: any(all(w in c for w in words) for c in self.conditions()),
              lambda: "no condition with %s: %s" % (words, self.conditions()))

    def node_json(self):
        with open(os.path.join(self.node.state, "node.json"), encoding="utf-8") as f:
            return json.load(f)


def content(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return None


# ---- install ----------------------------------------------------------------------------------------


def install_puts_the_plugin_there(lab):
    bed = Bed(lab)
    os.umask(0o077)
    try:
        out = bed.install().stdout
    finally:
        os.umask(0o022)
    expect("installed: " + bed.plugin in out, out)
    expect(content(bed.plugin) == content(lab.program("ripstop-cni")), "another program")
    st = os.stat(bed.plugin)
    expect(stat.S_IMODE(st.st_mode) == 0o755 and st.st_uid == 0, "mode %o" % st.st_mode)
    expect(stat.S_IMODE(os.stat(bed.bin).st_mode) == 0o755, "mode of the folder")
    expect("is there already" in bed.install().stdout and os.stat(bed.plugin).st_ino == st.st_ino, "written again for nothing")
    os.chmod(bed.plugin, 0o644)
    bed.install()
    expect(stat.S_IMODE(os.stat(bed.plugin).st_mode) == 0o755, "a mode that is wrong stays")
    expect(os.listdir(bed.bin) == ["ripstop"] and os.listdir(bed.conf) == [], "more than the plugin was written")
    p = subprocess.run([bed.plugin], env={"CNI_COMMAND": "VERSION"}, input="{}", capture_output=True, text=True, check=False)
    expect("1.1.0" in p.stdout, "it does not run: " + p.stdout + p.stderr)


def install_replaces_as_a_whole(lab):
    """XF12: an old plugin is replaced while it runs; whoever looks sees the one or the other."""
    bed = Bed(lab)
    os.makedirs(bed.bin)
    old = b"\x7fELF old plugin" * 1000
    new = content(lab.program("ripstop-cni"))
    for name in (".0123456789abcdef.tmp", ".0123456789abcdef.sav", "portmap"):
        with open(os.path.join(bed.bin, name), "wb") as f:
            f.write(b"x")
    seen, stop = set(), threading.Event()

    def look():
        while not stop.is_set():
            data = content(bed.plugin)
            seen.add("none" if data is None else "old" if data == old else "new" if data == new else "%d bytes" % len(data))

    with open(bed.plugin, "wb") as f:
        f.write(old)
    watcher = threading.Thread(target=look)
    watcher.start()
    for _ in range(20):
        bed.install()
        with open(bed.plugin + ".old", "wb") as f:
            f.write(old)
        os.rename(bed.plugin + ".old", bed.plugin)
    stop.set()
    watcher.join()
    expect(seen <= {"old", "new"}, "seen: %s" % seen)
    expect(sorted(os.listdir(bed.bin)) == [".0123456789abcdef.sav", "portmap", "ripstop"], os.listdir(bed.bin))


def install_that_fails_leaves_the_old_one(lab):
    bed = Bed(lab)
    os.makedirs(bed.bin)
    # A folder that is full.
    harness.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", bed.bin])
    try:
        with open(bed.plugin, "wb") as f:
            f.write(b"old")
        p = bed.install(check=False)
        expect(p.returncode == 1 and "No space left" in p.stderr, p.stderr)
        expect(content(bed.plugin) == b"old" and os.listdir(bed.bin) == ["ripstop"], os.listdir(bed.bin))
    finally:
        harness.run(["umount", bed.bin])
    for plugin, why in (("/nowhere", "No such file"), ("/etc/passwd", "is no program"), ("/dev/null", "not a regular file")):
        p = bed.install("--plugin", plugin, check=False)
        expect(p.returncode == 1 and why in p.stderr and plugin in p.stderr, p.stderr)
    expect(os.listdir(bed.bin) == [], "something was written")


def install_killed_at_any_time_leaves_one_of_both(lab):
    bed = Bed(lab)
    os.makedirs(bed.bin)
    new = content(lab.program("ripstop-cni"))
    for i in range(30):
        with open(bed.plugin, "wb") as f:
            f.write(b"\x7fELF old")
        p = lab.spawn([lab.program("ripstop-agent"), "install"] + bed.folders, stdout=subprocess.DEVNULL)
        time.sleep(i * 0.0007)
        lab.end(p, signal.SIGKILL)
        expect(content(bed.plugin) in (b"\x7fELF old", new), "half a plugin")
    bed.install()
    expect(content(bed.plugin) == new and os.listdir(bed.bin) == ["ripstop"], "left over: %s" % os.listdir(bed.bin))


# ---- the conflist -----------------------------------------------------------------------------------


def the_conflist_comes_last(lab):
    """Only once an ADD would be served: not with a folder of faults, not without the plugin."""
    bed = Bed(lab)
    bed.node.write_manifest("bad.yaml", "apiVersion: v1\nkind: Pod\n")
    bed.node.start_agent(wait=False)
    until(lambda: "objects not taken" in bed.node.log_tail(), "the agent took a bad folder")
    time.sleep(1.5)
    expect(os.listdir(bed.conf) == [], "a conflist of an agent that is not ready")
    bed.node.write_manifest("bad.yaml", None)
    bed.wait_condition("PluginMissing", bed.plugin)
    until(lambda: "is gone" in bed.node.ctl("status").get("notReadyReason", ""), lambda: bed.node.ctl("status"))
    expect(os.listdir(bed.conf) == [], "a conflist without a plugin")
    bed.install()
    until(lambda: os.path.exists(bed.conflist), "no conflist")
    bed.node.wait_ready()
    conf = json.loads(content(bed.conflist))
    expect(conf["cniVersion"] == "1.0.0", "containerd 1.6 refuses cniVersion %s" % conf["cniVersion"])
    expect(conf["cniVersions"] == ["0.3.1", "0.4.0", "1.0.0", "1.1.0"], conf["cniVersions"])
    expect(conf["plugins"][0] == {"type": "ripstop", "ipam": {"type": "ripstop"}, "stateDir": bed.node.state,
                                  "socket": bed.node.socket_path}, conf["plugins"])
    expect(len(conf["plugins"]) == 1, "a portmap that is not there")
    bed.wait_condition("NoHostPort", "portmap")
    # What it says works: the first plugin's part, as a runtime passes it on.
    one = dict(conf["plugins"][0], name=conf["name"], cniVersion="1.1.0")
    one["ipam"] = {"type": "ripstop"}
    pod = lab.pod("p")
    pod.attach(bed.node, "default", "p", conf=one)
    expect(pod.ips, "no address")


def the_conflist_chains_portmap_where_it_is(lab):
    bed = Bed(lab)
    bed.install()
    portmap = os.path.join(bed.bin, "portmap")
    shutil.copy("/bin/true", portmap)
    bed.node.start_agent()
    until(lambda: os.path.exists(bed.conflist), "no conflist")
    conf = json.loads(content(bed.conflist))
    expect(conf["cniVersions"] == ["0.3.1", "0.4.0", "1.0.0"], "portmap 1.5 knows none of %s" % conf["cniVersions"])
    plugins = conf["plugins"]
    expect([p["type"] for p in plugins] == ["ripstop", "portmap"], plugins)
    expect(plugins[1]["capabilities"] == {"portMappings": True}, plugins)
    expect(not any("NoHostPort" in c for c in bed.conditions()), bed.conditions())


def a_conflist_that_is_lost_or_changed_is_restored(lab):
    bed = Bed(lab)
    bed.install()
    foreign = os.path.join(bed.conf, "10-other.conflist")
    with open(foreign, "w", encoding="utf-8") as f:
        f.write("{}")
    bed.node.start_agent()
    until(lambda: os.path.exists(bed.conflist), "no conflist")
    ours = content(bed.conflist)
    for harm in (lambda: os.unlink(bed.conflist), lambda: open(bed.conflist, "w").close(),
                 lambda: os.rename(bed.conflist, bed.conflist + ".gone"), lambda: os.rename(foreign, bed.conflist)):
        harm()
        until(lambda: content(bed.conflist) == ours, "not restored")
    expect("our conflist was removed or changed" in bed.node.log_tail(40), bed.node.log_tail())
    with open(foreign, "w", encoding="utf-8") as f:
        f.write("{}")
    first = os.path.join(bed.conf, "00-first.conf")
    with open(first, "w", encoding="utf-8") as f:
        f.write("{}")
    bed.wait_condition("OtherCniFirst", "00-first.conf")
    expect(content(first) == b"{}" and content(foreign) == b"{}", "a file of somebody else was touched")
    os.unlink(first)
    # The whole folder.
    shutil.rmtree(bed.conf)
    bed.wait_condition("ConflistMissing", bed.conf)
    os.makedirs(bed.conf)
    until(lambda: content(bed.conflist) == ours, "not restored in the new folder")
    # An agent that stops leaves it; the next one finds it.
    bed.node.kill_agent(signal.SIGTERM)
    inode = os.stat(bed.conflist).st_ino
    bed.node.start_agent()
    time.sleep(1.5)
    expect(os.stat(bed.conflist).st_ino == inode, "the same file was written again")


def two_who_keep_the_same_file_do_not_spin(lab):
    bed = Bed(lab)
    bed.install()
    bed.node.start_agent()
    until(lambda: os.path.exists(bed.conflist), "no conflist")
    end = time.monotonic() + 3
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            os.unlink(bed.conflist)
    restored = bed.node.log_tail(10000).count("our conflist was removed")
    print("         restored %d times in 3 s of removing it without pause" % restored)
    expect(1 <= restored <= 8, "%d times" % restored)


def a_plugin_that_is_gone_or_another_fails_readiness(lab):
    bed = Bed(lab)
    bed.install()
    bed.node.start_agent()
    node = bed.node

    def ready():
        return node.ctl("status").get("ready") and bed.node_json()["ready"]

    until(ready, "not ready at first")
    until(lambda: os.path.exists(bed.conflist), "no conflist")
    original = content(bed.plugin)
    for harm, words in ((lambda: os.unlink(bed.plugin), ("PluginMissing", bed.plugin)),
                        (lambda: open(bed.plugin, "ab").write(b"x"), ("PluginChanged", "not the one that belongs")),
                        (lambda: os.chmod(bed.plugin, 0o644), ("PluginChanged", "no program that can be run"))):
        harm()
        bed.wait_condition(*words)
        until(lambda: not node.ctl("status").get("ready") and not bed.node_json()["ready"], "ready all the same")
        expect(os.path.exists(bed.conflist), "the conflist went")
        bed.install()
        until(ready, "not ready again: %s" % bed.conditions())
        expect(content(bed.plugin) == original, "another plugin")
    # Bytes of the same length and time.
    st = os.stat(bed.plugin)
    with open(bed.plugin, "r+b") as f:
        f.seek(5000)
        f.write(bytes([original[5000] ^ 1]))
    os.utime(bed.plugin, ns=(st.st_atime_ns, st.st_mtime_ns))
    bed.wait_condition("PluginChanged")


def without_the_option_nothing_is_written_or_asked(lab):
    bed = Bed(lab)
    bed.node.agent_options = bed.folders
    bed.node.start_agent()
    time.sleep(1.5)
    expect(os.listdir(bed.conf) == [] and not bed.conditions(), "%s %s" % (os.listdir(bed.conf), bed.conditions()))


def uninstall_takes_ours_and_leaves_others(lab):
    bed = Bed(lab)
    bed.install()
    for path in (os.path.join(bed.conf, "10-other.conflist"), os.path.join(bed.bin, "bridge")):
        with open(path, "w", encoding="utf-8") as f:
            f.write("x")
    bed.node.start_agent()
    until(lambda: os.path.exists(bed.conflist), "no conflist")
    pod = lab.pod("p")
    pod.attach(bed.node, "default", "p")
    bed.node.kill_agent()
    p = bed.uninstall()
    expect(p.returncode == 1 and os.path.exists(bed.conflist) and os.path.exists(bed.plugin), "not refused: " + p.stdout)
    p = bed.uninstall("--force")
    expect(p.returncode == 0 and "loses its policy: default/p" in p.stdout, p.stdout + p.stderr)
    expect(os.listdir(bed.conf) == ["10-other.conflist"], os.listdir(bed.conf))
    expect("stays, for the pods that are attached" in p.stdout and os.path.exists(bed.plugin), "the pod cannot be removed any more")
    # Again, as where the first was cut short: the records are gone, the pod is not.
    p = bed.uninstall("--force")
    expect(p.returncode == 0 and os.path.exists(bed.plugin), "the pod cannot be removed any more: " + p.stdout)
    bed.node.run(["ip", "link", "del", "group", "21065"])
    p = bed.uninstall()
    expect(p.returncode == 0 and os.listdir(bed.bin) == ["bridge"], p.stdout + p.stderr)


def stay_waits_for_sigterm(lab):
    bed = Bed(lab)
    p = lab.spawn([lab.program("ripstop-agent"), "install", "--stay"] + bed.folders, stdout=subprocess.PIPE, text=True)
    expect("installed" in p.stdout.readline() and "waits for SIGTERM" in p.stdout.readline(), "it did not stay")
    expect(p.poll() is None, "it left")
    expect(lab.end(p, signal.SIGTERM) == 0, "exit code")


# ---- the image --------------------------------------------------------------------------------------


def unpack(archive, folder):
    """The one layer of an OCI archive, every digest checked on the way. Returns (config, names)."""
    with tarfile.open(archive) as tar:
        def blob(d):
            data = tar.extractfile("blobs/sha256/" + d["digest"].split(":")[1]).read()
            expect("sha256:" + hashlib.sha256(data).hexdigest() == d["digest"] and len(data) == d["size"], "digest of a blob")
            return data
        expect(json.load(tar.extractfile("oci-layout"))["imageLayoutVersion"] == "1.0.0", "oci-layout")
        (entry,) = json.load(tar.extractfile("index.json"))["manifests"]
        manifest = json.loads(blob(entry))
        config = json.loads(blob(manifest["config"]))
        (layer,) = manifest["layers"]
        packed = blob(layer)
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        names = tar.getnames()
        tar.extractall(folder)
    import gzip
    expect(config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(gzip.decompress(packed)).hexdigest()], "diff_ids")
    return config, names, entry, len(packed)


def make_image(lab, path):
    """The last line that is said of it."""
    p = harness.run([os.path.join(ROOT, "tools", "mkimage.py"), "--build", lab.build, "--out", path])
    return p.stdout.strip().split("\n")[-1]


class Image:
    """The archive that every test of it takes: made when the first one asks."""
    folder = said = None

    @classmethod
    def of(cls, lab):
        if cls.folder is None:
            folder = tempfile.TemporaryDirectory(prefix="rsh-image-")  # pylint: disable=consider-using-with
            cls.said = make_image(lab, os.path.join(folder.name, "a.tar"))
            cls.folder = folder
        return os.path.join(cls.folder.name, "a.tar")


def the_image_runs_alone(lab):
    """Programs and libraries in a root folder that holds nothing else."""
    with tempfile.TemporaryDirectory(prefix="rsh-image-") as folder:
        again, root = (os.path.join(folder, n) for n in ("b.tar", "root"))
        archive = Image.of(lab)
        make_image(lab, again)
        expect(content(archive) == content(again), "two runs give two archives")
        print("         " + Image.said)
        config, names, entry, size = unpack(archive, root)
        expect(size < 15e6, "%d bytes compressed" % size)
        version = content(os.path.join(ROOT, "VERSION")).decode().strip()
        expect(entry["annotations"]["io.containerd.image.name"] == "localhost/ripstop:" + version, entry)
        expect(config["config"]["Entrypoint"] == ["/usr/bin/ripstop-agent"] and config["os"] == "linux", config)
        expect(not [n for n in names if re.search(r"(^|/)(sh|bash|busybox|python3?)$", n)], "a shell in the image")
        for argv in (["ripstop-agent", "--version"], ["ripstop-agent", "--help"], ["ripstop", "version", "--client"], ["ripstop", "help"],
                     ["ripstop-cni"]):
            p = subprocess.run([CHROOT, root, "/usr/bin/" + argv[0]] + argv[1:], capture_output=True, text=True, check=False,
                               stdin=subprocess.DEVNULL, env={"PATH": "/usr/bin"})
            expect("error while loading" not in p.stderr and p.returncode != 127, "%s: %s" % (argv, p.stderr))
            expect("ipstop" in p.stdout + p.stderr, "%s says nothing: %d %s" % (argv, p.returncode, p.stdout + p.stderr))
        expect(version in subprocess.run([CHROOT, root, "/usr/bin/ripstop-agent", "--version"], capture_output=True, text=True,
                                         check=True).stdout, "version")
        # As the init container: the plugin beside the agent goes to the node's folder.
        p = subprocess.run([CHROOT, root, "/usr/bin/ripstop-agent", "install", "--plugin", "/usr/bin/ripstop-cni"],
                           capture_output=True, text=True, check=False)
        expect(p.returncode == 0 and content(root + "/opt/cni/bin/ripstop") == content(root + "/usr/bin/ripstop-cni"), p.stderr)


def the_image_serves_with_net_admin_alone(lab):
    """The agent of the image in its own root folder, with one capability, as the DaemonSet runs it."""
    image_serves(lab, ["net_admin"], "nft")


def the_image_serves_the_ebpf_dataplane(lab):
    """With the two capabilities and the bpffs that manifests/ebpf/ adds; and without them it falls back."""
    for caps, bpffs, dataplane in ((["net_admin", "bpf", "perfmon"], True, "ebpf"), (["net_admin"], True, "nft"),
                                   (["net_admin", "bpf", "perfmon"], False, "nft")):
        with Lab(lab.build) as own:
            image_serves(own, caps, dataplane, "--dataplane", "ebpf", bpffs=bpffs)


BITS = {"net_admin": 12, "sys_chroot": 18, "perfmon": 38, "bpf": 39}


def image_serves(lab, caps, dataplane, *more, bpffs=False):
    """Its agent is ready, and this enforces."""
    bed = Bed(lab)
    with tempfile.TemporaryDirectory(prefix="rsh-image-") as folder:
        root = os.path.join(folder, "root")
        unpack(Image.of(lab), root)
        for inner in ("proc", "manifests", "state", "conf"):
            os.makedirs(os.path.join(root, inner), exist_ok=True)
        with open(os.path.join(root, "manifests", "ns.yaml"), "w", encoding="utf-8") as f:
            f.write("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")
        options = ["--manifests", "/manifests", "--state-dir", "/state", "--node-name", "n1", "--node-ranges", "10.244.1.0/24",
                   "--metrics-address", "", "--install-conflist=on", "--cni-conf-dir", "/conf", "--masquerade=on", *more]
        os.makedirs(root + "/sys")
        with contextlib.ExitStack() as mounts:
            mount(mounts, "-t", "proc", "proc", root + "/proc")
            mount(mounts, "-t", "sysfs", "-o", "ro", "sysfs", root + "/sys")
            if bpffs:
                mount(mounts, "-t", "bpf", "bpf", root + "/sys/fs/bpf")
            # As the init container: no capability, the plugin beside the agent.
            harness.run(["setpriv", "--bounding-set=-all,+sys_chroot", "--inh-caps=-all", "--no-new-privs", CHROOT, root,
                         "/usr/bin/ripstop-agent", "install"])
            with open(bed.node.log_path, "ab") as log:
                agent = lab.spawn(bed.node.argv(["setpriv", "--bounding-set=-all,+sys_chroot," + ",".join("+" + c for c in caps),
                                                 "--inh-caps=-all", "--no-new-privs", CHROOT, root, "/usr/bin/ripstop-agent"] + options),
                                  stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            sock = os.path.join(root, "state", "agent.sock")

            def ready():
                with contextlib.suppress(OSError, harness.CtlError):
                    return harness.ctl_call(sock, "status", {}).get("ready")
                return False
            until(ready, bed.node.log_tail)
            until(lambda: os.path.exists(os.path.join(root, "conf", CONFLIST)), bed.node.log_tail)
            until(lambda: "ripstop-nat" in bed.node.sh("nft list tables"), bed.node.log_tail)
            has = re.search(r"CapEff:\s*(\w+)", content("/proc/%d/status" % agent.pid).decode()).group(1)
            expect(int(has, 16) == sum(1 << BITS[c] for c in caps + ["sys_chroot"]), "capabilities %s" % has)
            plane = harness.ctl_call(sock, "status", {})["dataplane"]
            expect(plane["name"] == dataplane, "dataplane %s" % plane)
            expect(("ripstop\n" in bed.node.sh("nft list tables; echo")) == (dataplane == "nft"), "rules of nft")
            lab.end(agent)


def mount(stack, *argv):
    harness.run(["mount", *argv])
    stack.callback(harness.run, ["umount", argv[-1]])


TESTS = [
    install_puts_the_plugin_there, install_replaces_as_a_whole, install_that_fails_leaves_the_old_one,
    install_killed_at_any_time_leaves_one_of_both, the_conflist_comes_last, the_conflist_chains_portmap_where_it_is,
    a_conflist_that_is_lost_or_changed_is_restored, two_who_keep_the_same_file_do_not_spin,
    a_plugin_that_is_gone_or_another_fails_readiness, without_the_option_nothing_is_written_or_asked,
    uninstall_takes_ours_and_leaves_others, stay_waits_for_sigterm, the_image_runs_alone,
    the_image_serves_with_net_admin_alone, the_image_serves_the_ebpf_dataplane,
]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=None)
    ap.add_argument("names", nargs="*")
    args = ap.parse_args()
    harness.start()
    ok = bad = 0
    for test in TESTS:
        if args.names and test.__name__ not in args.names:
            continue
        start = time.monotonic()
        try:
            with Lab(args.build) as lab:
                try:
                    test(lab)
                except BaseException:
                    for ns in lab.namespaces:
                        if isinstance(ns, harness.Node):
                            print("---- agent of %s\n%s" % (ns.short, ns.log_tail(12)))
                    raise
            ok += 1
        except AssertionError as e:
            bad += 1
            print("FAILED %s: %s" % (test.__name__, e))
        except Exception:  # pylint: disable=broad-except
            bad += 1
            print("FAILED %s\n%s" % (test.__name__, traceback.format_exc()))
        print("%-50s %.1f s" % (test.__name__, time.monotonic() - start), flush=True)
    print("%d passed, %d failed, 0 skipped" % (ok, bad))
    return 1 if bad or not ok else 0


if __name__ == "__main__":
    sys.exit(main())
