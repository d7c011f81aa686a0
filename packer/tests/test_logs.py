"""How the bake takes the CloudWatch agent: only as AWS signed it. The package here is a stand-in with a key of the test's;
the script is the real one, run in a Debian 13 root with `curl` in its own hands."""

import hashlib
import json
import os
import tempfile
import unittest
from pathlib import Path

from support import HERE, command

PUBLISHED = "937616F3450B7D806CBD9725D58167303B789C72"
CTL = "opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl"


class Agent(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        # What curl finds, by the last part of the address.
        self.web = self.folder / "web"
        for part in ("web", "gnupg", "bin", "package/DEBIAN", f"package/{Path(CTL).parent}"):
            (self.folder / part).mkdir(parents=True, mode=0o700)
        (self.folder / "package/DEBIAN/control").write_text(
            "Package: amazon-cloudwatch-agent\nVersion: 1\nArchitecture: all\nMaintainer: test\nDescription: test\n"
        )
        # gpg leaves an agent behind, in its folder's name.
        self.addCleanup(command, "gpgconf", "--homedir", self.folder / "gnupg", "--kill", "all")
        self.gpg("--quick-gen-key", "--passphrase", "", "test", "rsa2048", "sign", "never")
        listing = self.gpg("--list-keys", "--with-colons")
        self.fingerprint = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))
        (self.web / "amazon-cloudwatch-agent.gpg").write_text(self.gpg("--armor", "--export"))
        (self.web / "amazon-cloudwatch-agent.deb").write_bytes(b"the package")
        self.sign()

    def gpg(self, *words):
        return command("gpg", "--homedir", self.folder / "gnupg", "--batch", "--yes", "--pinentry-mode", "loopback", *words)

    def sign(self):
        deb = self.web / "amazon-cloudwatch-agent.deb"
        self.gpg("--output", f"{deb}.sig", "--detach-sign", str(deb))

    def install(self, fingerprint, **environment):
        """Runs the script with stand-ins for what changes a machine; gives what it did and what it said."""
        script = (HERE.parent / "scripts" / "logs").read_text()
        self.assertIn(f"fingerprint={PUBLISHED}\n", script)
        for name, was in ((fingerprint, PUBLISHED), (f"{self.folder}/done", "/opt/aws"), (f"{self.folder}/etc", "/etc/tideline"),
                          (str(HERE.parent), "/tmp/tideline")):  # fmt: skip
            script = script.replace(was, name)
        done = self.folder / "done/amazon-cloudwatch-agent/bin"
        done.mkdir(parents=True, exist_ok=True)
        journal = self.folder / "journal"
        journal.write_text("")
        tools = {
            "curl": f'while [ "$1" != --output ]; do shift; done; echo "curl $3" >>{journal}; cp "{self.web}/${{3##*/}}" "$2"',
            "dpkg": f'[ "$1" = --print-architecture ] && echo amd64 && exit; echo "dpkg $*" >>{journal}',
            "apt-get": ":",
            "systemctl": f'echo "systemctl $*" >>{journal}',
        }
        for name, text in tools.items():
            self.tool(self.folder / "bin" / name, text)
        self.tool(done / "amazon-cloudwatch-agent-ctl", f'echo "ctl $*" >>{journal}')
        settings = {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "TIDELINE_CLOUDWATCH_AGENT": "true",
            "TIDELINE_CLOUDWATCH_AGENT_VERSION": "latest", "TIDELINE_LOG_GROUP_PREFIX": "/tideline",
        }  # fmt: skip
        ran = command("bash", "-c", script, check=False, timeout=60, env=os.environ | settings | environment)
        return ran, journal.read_text()

    def tool(self, path, text):
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    def test_signed_by_the_published_key_it_is_installed_and_configured(self):
        ran, journal = self.install(self.fingerprint)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertIn("curl https://amazoncloudwatch-agent.s3.amazonaws.com/debian/amd64/latest/amazon-cloudwatch-agent.deb\n", journal)
        self.assertRegex(journal, r"(?s)dpkg --install .*ctl -a fetch-config .*systemctl enable")
        settings = json.loads((self.folder / "etc/cloudwatch-agent.json").read_text())
        groups = [each["log_group_name"] for each in settings["logs"]["logs_collected"]["files"]["collect_list"]]
        self.assertEqual(groups, ["/tideline/service", "/tideline/system"])

    def refused(self, why, fingerprint, **environment):
        ran, journal = self.install(fingerprint, **environment)
        self.assertNotEqual(ran.returncode, 0)
        self.assertIn(why, ran.stdout + ran.stderr)
        self.assertNotIn("dpkg --install", journal)

    def test_signed_by_another_key_it_is_refused(self):
        self.refused("not signed by the key that AWS publishes", PUBLISHED)

    def test_changed_after_it_was_signed_it_is_refused(self):
        (self.web / "amazon-cloudwatch-agent.deb").write_bytes(b"another package")
        self.refused("not signed by the key that AWS publishes", self.fingerprint)

    def test_another_package_than_the_pinned_one_is_refused(self):
        pinned = hashlib.sha256(b"the pinned package").hexdigest()
        self.refused("did NOT match", self.fingerprint, TIDELINE_CLOUDWATCH_AGENT_SHA256=pinned)

    def test_left_out_nothing_is_fetched(self):
        ran, journal = self.install(self.fingerprint, TIDELINE_CLOUDWATCH_AGENT="false")
        self.assertEqual((ran.returncode, journal), (0, ""))
        self.assertIn("left out", ran.stderr)
