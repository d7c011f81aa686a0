"""Machines on a host that has cgroup v2 alone. On another, such a one is made: as far as version 1 leaves it controllers."""

import os
import subprocess
import time
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
ROOT = Path(os.environ["TIDELINE_IMAGES"]) / os.environ["TIDELINE_IMAGE"]
FOLDER = Path(os.environ["TIDELINE_FOLDER"]).with_name("cgroups")
CGROUPS = Path("/sys/fs/cgroup")
NAME = "unified"
NAMESPACE = f"tideline-{os.getpid()}"


class Unified(unittest.TestCase):
    def setUp(self):
        subprocess.run([SCRIPTS / "network", "up", NAMESPACE, "10.99.0.1/24"], check=True)
        self.addCleanup(lambda: subprocess.run([SCRIPTS / "network", "down", NAMESPACE], check=True))
        alone = f"umount --recursive {CGROUPS} && mount -t cgroup2 none {CGROUPS} && echo made && exec sleep 300"
        self.host = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", alone], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.host.communicate, timeout=10)
        self.addCleanup(self.host.kill)
        self.assertEqual(self.host.stdout.readline(), "made\n")
        self.addCleanup(self.machine, "remove", NAME)

    def run_there(self, *words):
        return subprocess.run(
            ["nsenter", f"--target={self.host.pid}", "--mount", *words], capture_output=True, text=True, timeout=100,
            stdin=subprocess.DEVNULL, env=os.environ | {"TIDELINE_MACHINES": str(FOLDER)},
        )  # fmt: skip

    def machine(self, *words, check=True):
        done = self.run_there(SCRIPTS / "machine", *words)
        if check:
            self.assertEqual(done.returncode, 0, f"machine {words}: {done.stdout}{done.stderr}")
        return done

    def used(self, cgroup):
        """Seconds on a CPU."""
        stat = self.run_there("cat", f"{cgroup}/cpu.stat").stdout.split()
        return int(stat[stat.index("usage_usec") + 1]) / 1e6

    def test_a_machine_has_one_control_group_and_its_cpu_is_counted(self):
        limits = ("--cpus", "0.5", "--memory", "512M")
        controllers = self.run_there("cat", f"{CGROUPS}/cgroup.controllers").stdout.split()
        bounded = {"cpu", "memory"} <= set(controllers)
        boot = ("boot", NAME, "--root", ROOT, "--namespace", NAMESPACE, "--address", "10.99.0.2/24", "--gateway", "10.99.0.1")
        if not bounded:
            # What cannot be had is not silently left out.
            refused = self.machine(*boot, *limits, check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertRegex(refused.stderr, f"machine {NAME}: no control group here bounds (CPU|memory)")
            self.machine("remove", NAME)
        self.machine(*boot, *(limits if bounded else ()))
        groups = (FOLDER / NAME / "cgroups").read_text().split()
        self.assertEqual(len(groups), 1, groups)
        cgroup = Path(groups[0])
        self.assertEqual(cgroup.parent, CGROUPS)
        end = time.monotonic() + 60
        while "running" not in self.machine("exec", NAME, "systemctl", "is-system-running", check=False).stdout:
            self.assertLess(time.monotonic(), end, (FOLDER / NAME / "console.log").read_text()[-2000:])
            time.sleep(0.2)
        before, began = self.used(cgroup), time.monotonic()
        self.machine("exec", NAME, "systemd-run", "--quiet", "--wait", "timeout", "4", "sh", "-c", "while :; do :; done", check=False)
        used = (self.used(cgroup) - before) / (time.monotonic() - began)
        bound = "a bound of 0.5" if bounded else f"no bound, as v2 has no more than {controllers}"
        print(f"      a machine on cgroup v2 that would use all of a CPU, with {bound}: {used:.2f}", flush=True)
        self.assertGreater(used, 0.15)
        self.assertLess(used, 0.55 if bounded else 1.5)
        self.machine("power-off", NAME)
        self.machine("remove", NAME)
        self.assertNotEqual(self.run_there("test", "-e", cgroup).returncode, 0)


if __name__ == "__main__":
    unittest.main()
