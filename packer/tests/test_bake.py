"""The bake: what comes out of it, twice the same, and what is left when it fails."""

import hashlib
import os
import stat
import subprocess
import tempfile
import unittest
from functools import cache
from pathlib import Path

import boto3
from support import BINARY, HERE, MACHINE, baked, bake, command, report, root_of

COMMIT = command("git", "rev-parse", "HEAD", cwd=HERE).strip()
# Written while the machine runs, and telling when.
CHANGING = (
    "etc/ssh/moduli", "etc/ld.so.cache", "var/cache/ldconfig/aux-cache", "var/lib/dpkg/status-old",
    "var/lib/systemd/timers/", "var/lib/systemd/catalog/database", "var/log/",
)  # fmt: skip


@cache
def first_bake():
    done = bake()
    return done, None if done.returncode else baked()


def image():
    """The image that the tests share, and what its bake said; the first to ask for it bakes it."""
    done, build = first_bake()
    if build is None:
        raise AssertionError(f"the bake failed: {done.stdout[-6000:]}{done.stderr[-2000:]}")
    return build, done.stdout


def tree(root):
    """Every file of a root: kind, mode, owner, and what is in it."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = Path(folder, name)
            relative, facts = str(path.relative_to(root)), path.lstat()
            if relative.startswith(CHANGING) or relative.endswith(".pyc"):
                continue
            if stat.S_ISLNK(facts.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(facts.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                content = None
            found[relative] = (stat.filemode(facts.st_mode), facts.st_uid, facts.st_gid, content)
    return found


class Bake(unittest.TestCase):
    ec2 = boto3.client("ec2")

    def nothing_left(self):
        states = [
            each["State"]["Name"]
            for reservation in self.ec2.describe_instances()["Reservations"]
            for each in reservation["Instances"]
        ]
        self.assertEqual(set(states) - {"terminated"}, set())
        self.assertEqual(self.ec2.describe_key_pairs()["KeyPairs"], [])
        groups = {group["GroupName"] for group in self.ec2.describe_security_groups()["SecurityGroups"]}
        self.assertEqual(groups, {"default"})
        self.assertEqual(command(MACHINE, "list"), "")
        # Of this checkout: another one may have machines of its own.
        machines = os.environ["TIDELINE_MACHINES"]
        self.assertNotIn(machines, Path("/proc/mounts").read_text())
        self.assertEqual(subprocess.run(["pgrep", "--full", f"directory={machines}"], capture_output=True).stdout, b"")

    def test_1_an_image_that_says_where_it_comes_from(self):
        build, output = image()
        ami = build["artifact_id"].split(":")[1]
        self.assertEqual(output.splitlines()[-1], ami)
        (found,) = self.ec2.describe_images(Owners=["self"])["Images"]
        self.assertEqual(found["ImageId"], ami)
        sha256 = hashlib.sha256(Path(BINARY).read_bytes()).hexdigest()
        expected = {
            "tideline:git-commit": os.environ.get("TIDELINE_COMMIT", COMMIT),
            "tideline:git-dirty": str(bool(command("git", "status", "--porcelain", cwd=HERE))).lower(),
            "tideline:binary-sha256": sha256,
            "tideline:source-ami": "ami-debian13",
            "tideline:built-at": build["custom_data"]["built_at"],
        }
        snapshot = found["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        (snapshot,) = self.ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
        reservations = self.ec2.describe_instances()["Reservations"]
        for holder in (found, snapshot, reservations[-1]["Instances"][0]):
            tags = {tag["Key"]: tag["Value"] for tag in holder["Tags"]}
            self.assertEqual(tags, tags | expected)
            self.assertIn("tideline:version", tags)
        self.assertEqual(build["custom_data"]["binary_sha256"], sha256)
        self.nothing_left()

    def test_2_nothing_in_it_that_must_differ_between_machines(self):
        root = root_of(image()[0])
        self.assertEqual((root / "etc/machine-id").read_text(), "")
        for pattern in ("etc/ssh/ssh_host_*", "root/.ssh", "home/*/.ssh", "var/lib/cloud/instance*", "var/log/journal/*",
                        "var/lib/apt/lists/*", "root/.bash_history", "tmp/tideline", "etc/tideline/tideline.env",
                        "var/log/private/*", "var/lib/private/*", "var/log/cloud-init*.log"):  # fmt: skip
            full = [path for path in root.glob(pattern) if path.is_dir() or path.stat().st_size]
            self.assertEqual(full, [], pattern)
        writable = [path for path in tree(root) if tree_mode_writable(root / path)]
        self.assertEqual(writable, [])

    def test_3_baked_again_it_is_the_same(self):
        first = tree(root_of(image()[0]))
        again = bake()
        self.assertEqual(again.returncode, 0, again.stdout[-4000:])
        second = tree(root_of(baked()))
        self.assertGreater(len(first), 5000)
        different = sorted(path for path in first.keys() | second.keys() if first.get(path) != second.get(path))
        self.assertEqual(different, [])
        report(f"{len(first)} files, folders and links are the same in two bakes")

    def refused(self, why, **environment):
        images = self.ec2.describe_images(Owners=["self"])["Images"]
        done = bake(**environment)
        self.assertNotEqual(done.returncode, 0, "the bake went through")
        self.assertIn(why, done.stdout + done.stderr)
        self.assertEqual(self.ec2.describe_images(Owners=["self"])["Images"], images)
        self.nothing_left()

    def binary(self, content):
        file = tempfile.NamedTemporaryFile(delete=False)
        self.addCleanup(os.unlink, file.name)
        file.write(content)
        file.close()
        return file.name

    def test_4_a_binary_for_another_machine_is_refused(self):
        content = bytearray(Path(BINARY).read_bytes())
        # e_machine: one that is nobody's here.
        content[18:20] = (8).to_bytes(2, "little")
        self.refused("the binary does not run on Debian GNU/Linux 13", TIDELINE_BINARY=self.binary(content))

    def test_5_a_binary_of_another_commit_is_refused(self):
        self.refused("the binary says that it is", TIDELINE_COMMIT="0" * 40)

    def test_6_a_service_that_does_not_serve_is_no_image(self):
        version = command(BINARY, "-V").strip()
        script = f'#!/bin/sh\n[ "$1" != -V ] || exec echo "{version}"\nexit 1\n'
        self.refused("The image does not serve: it does not become ready", TIDELINE_BINARY=self.binary(script.encode()))


def tree_mode_writable(path):
    """Whether anybody may write a file or folder, other than into a sticky one."""
    mode = path.lstat().st_mode
    return not stat.S_ISLNK(mode) and mode & stat.S_IWOTH and not mode & stat.S_ISVTX and not stat.S_ISCHR(mode)
