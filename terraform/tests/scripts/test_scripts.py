"""What the scripts say and make, where that needs no account: in a copy, with tools that are stand-ins."""

import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
# What the scripts may take for granted on any machine.
BASICS = "awk basename bash cat cp cut date dirname env git grep head mktemp mv python3 rm sed sha256sum sort tail timeout tr uname wc".split()


class Copy(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tideline-scripts-"))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "terraform").mkdir()
        shutil.copytree(PROJECT / "terraform" / "scripts", self.folder / "terraform" / "scripts")
        for source in (PROJECT / "terraform").glob("variables*.tf"):
            shutil.copy(source, self.folder / "terraform")
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        for tool in BASICS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        subprocess.run(["git", "init", "--quiet", self.folder], check=True)
        commit = ["-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "--quiet", "--allow-empty", "-m", "test"]
        subprocess.run(["git", "-C", self.folder, *commit], check=True)

    def tool(self, name, text=None):
        """Puts a tool in the scripts' way: the machine's, or a script of this text."""
        (self.bin / name).unlink(missing_ok=True)
        if text is None:
            found = shutil.which(name)
            if not found:
                self.skipTest(f"needs {name}")
            (self.bin / name).symlink_to(found)
        else:
            (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
            (self.bin / name).chmod(0o755)

    def ready(self, aws):
        """All that a deployment needs; aws is a script of this text."""
        self.tool("terraform")
        self.tool("packer", "echo Packer v1.11.2")
        self.tool("cargo", "exit 0")
        self.tool("aws", aws)

    def run_script(self, name, *words, **variables):
        environment = {"PATH": str(self.bin), "HOME": str(self.folder), "AWS_REGION": "eu-west-1"} | variables
        return subprocess.run(
            [self.folder / "terraform" / "scripts" / name, *words], cwd=self.folder, env=environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )  # fmt: skip


class Help(Copy):
    def test_every_script_explains_itself(self):
        self.tool("terraform", "exit 9")
        self.tool("aws", "exit 9")
        for script in (self.folder / "terraform" / "scripts").iterdir():
            if not os.access(script, os.X_OK) or script.suffix:
                continue
            done = self.run_script(script.name, "--help")
            self.assertEqual(done.returncode, 0, (script.name, done.stderr))
            self.assertIn(f"terraform/scripts/{script.name}", done.stdout)


class Preflight(Copy):
    def test_all_that_is_missing_comes_at_once(self):
        done = self.run_script("preflight")
        self.assertEqual(done.returncode, 69, done.stderr)
        for tool in ("terraform", "aws", "cargo", "packer"):
            self.assertIn(f"- {tool} is missing: ", done.stderr)

    def test_what_is_too_old_is_missing(self):
        self.tool("terraform", "echo Terraform v1.10.5")
        self.tool("packer", "echo Packer v1.6.6")
        done = self.run_script("preflight")
        self.assertEqual(done.returncode, 69, done.stderr)
        self.assertIn("terraform is 1.10.5: 1.11 or later is needed", done.stderr)
        self.assertIn("packer is 1.6.6: 1.11 or later is needed", done.stderr)

    def test_credentials_that_do_not_work_are_told(self):
        self.ready("echo 'Unable to locate credentials' >&2; exit 255")
        done = self.run_script("preflight", TF_VAR_max_size="1")
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertIn("max_size must be a whole number from min_size to 100", done.stderr)
        done = self.run_script("preflight")
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertIn("aws configure, or set AWS_PROFILE (Unable to locate credentials)", done.stderr)

    def test_the_quota_and_the_builder_s_subnet(self):
        self.ready(
            'case "$*" in *get-caller-identity*) printf "123456789012\\tarn:aws:iam::123456789012:user/me\\n";;'
            " *describe-subnets*) echo ${SUBNETS};; *describe-instance-types*) echo 2;; *get-service-quota*) echo ${QUOTA};; esac"
        )
        done = self.run_script("preflight", SUBNETS="0", QUOTA="5.0")
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertIn("no default subnet to bake in", done.stderr)
        # Five instances of two vCPUs, half as many again in a rollout.
        self.assertIn("may run 5 vCPUs, and t3.small × max_size, half as many again in a rollout, are 16", done.stderr)
        done = self.run_script("preflight", SUBNETS="3", QUOTA="16.0")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("tideline in eu-west-1, account 123456789012", done.stderr)


class AnotherAccount(Copy):
    """Terraform would not find there what it knows of, and forget it."""

    def setUp(self):
        super().setUp()
        self.ready(
            'case "$*" in *query\\ Account*) echo 123456789012;;'
            ' *get-caller-identity*) printf "123456789012\\tarn:aws:iam::123456789012:user/me\\n";;'
            " *describe-subnets*) echo 3;; *describe-instance-types*) echo 2;; esac"
        )
        # What it knows, and no provider: that would have to be fetched.
        real, known = shutil.which("terraform"), self.folder / "known.json"
        here = "-chdir=terraform"
        self.tool("terraform", f'case "$1 $2" in "{here} init") ;; "{here} output") cat {known};; *) exec {real} "$@";; esac')
        (self.folder / "terraform" / ".terraform").mkdir()

    def deployed_in(self, region, account):
        arn = f"arn:aws:elasticloadbalancing:{region}:{account}:targetgroup/tideline/0123456789abcdef"
        known = {"target_group_arn": {"value": arn}, "autoscaling_group_name": {"value": "tideline"}}
        (self.folder / "known.json").write_text(json.dumps(known))

    def test_nothing_is_deployed_over_it(self):
        self.deployed_in("eu-west-1", "123456789012")
        done = self.run_script("preflight")
        self.assertEqual(done.returncode, 0, done.stderr)
        for region, account in (("eu-west-1", "999999999999"), ("eu-central-1", "123456789012")):
            self.deployed_in(region, account)
            done = self.run_script("preflight")
            self.assertEqual(done.returncode, 78, done.stderr)
            self.assertIn(f"is in {region}, account {account}, and this is eu-west-1, account 123456789012", done.stderr)
        (self.folder / "known.json").unlink()
        self.assertIn("Terraform does not tell what is deployed", self.run_script("preflight").stderr)

    def test_nothing_is_called_destroyed(self):
        self.deployed_in("eu-west-1", "999999999999")
        done = self.run_script("destroy", CONFIRM="tideline")
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertIn("Nothing was removed: what is deployed from here is in eu-west-1, account 999999999999", done.stderr)


class Settings(Copy):
    def test_what_the_user_set_counts(self):
        self.tool("terraform")
        (self.folder / "terraform" / "terraform.tfvars").write_text('region = "us-east-1"\nmax_size = 9\n')
        done = self.run_script("settings", TF_VAR_region="eu-west-1", TF_VAR_cpu_target="60")
        self.assertEqual(done.returncode, 0, done.stderr)
        said = json.loads(done.stdout)
        self.assertEqual((said["region"], said["max_size"], said["cpu_target"], said["name"]), ("us-east-1", 9, 60, "tideline"))
        self.assertEqual([said[name] for name in ("image_id", "build_version", "write_token_sha256")], [None] * 3)

    def test_every_reason_is_a_line(self):
        self.tool("terraform")
        done = self.run_script("settings", TF_VAR_region="here", TF_VAR_cpu_target="99")
        self.assertEqual(done.returncode, 78)
        self.assertEqual(len(done.stderr.splitlines()), 2, done.stderr)
        self.assertEqual(done.stdout, "")


class Token(Copy):
    @property
    def file(self):
        return self.folder / "terraform" / "write-token"

    def hash_of(self, path):
        return hashlib.sha256(path.read_text().strip().encode()).hexdigest()

    def test_it_is_made_once(self):
        first = self.run_script("token")
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        self.assertEqual(json.loads(first.stdout), [self.hash_of(self.file)])
        self.assertNotIn(self.file.read_text().strip(), first.stdout + first.stderr)
        self.assertEqual(self.run_script("token").stdout, first.stdout)

    def test_two_are_good_while_one_is_changed(self):
        self.run_script("token")
        old = self.hash_of(self.file)
        self.assertEqual(self.run_script("new-token").returncode, 0)
        self.assertEqual(json.loads(self.run_script("token").stdout), [self.hash_of(self.file), old])
        self.assertNotEqual(self.hash_of(self.file), old)
        again = self.run_script("new-token")
        self.assertEqual(again.returncode, 78)
        self.assertIn("remove it first", again.stderr)

    def test_what_is_no_token_is_refused(self):
        for text in ("", "short", "two tokens that are in one line", "a" * 30 + "\n" + "b" * 30):
            self.file.write_text(text)
            done = self.run_script("token")
            self.assertEqual((done.returncode, done.stdout), (78, ""), text)
            self.assertEqual(self.file.read_text(), text)


class Bounded(Copy):
    def test_it_ends_when_its_time_is_over(self):
        self.tool("slow", "trap 'echo told; exit 5' INT; while :; do /bin/sleep 0.1; done")
        done = self.run_script("bounded", "0.5", "slow")
        self.assertEqual((done.returncode, done.stdout), (124, "told\n"), done.stderr)
        self.assertIn("slow: not done after 0.5 s", done.stderr)

    def test_otherwise_it_is_as_if_it_were_not_there(self):
        self.tool("quick", 'echo "$@"; exit 7')
        done = self.run_script("bounded", "9", "quick", "a b", "c")
        self.assertEqual((done.returncode, done.stdout), (7, "a b c\n"))

    def interrupt(self, *options, times):
        """What a command says that is interrupted so often, and the exit code."""
        self.tool("worker", "trap 'echo interrupted' INT; echo ready; i=0; while [ $i -lt 15 ]; do /bin/sleep 0.1; i=$((i + 1)); done; echo whole")
        process = subprocess.Popen(
            [self.folder / "terraform" / "scripts" / "bounded", *options, "20", self.bin / "worker"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        self.assertEqual(process.stdout.readline(), "ready\n")
        for _ in range(times):
            # Two that come at once are one.
            time.sleep(0.3)
            os.killpg(process.pid, signal.SIGINT)
        return process.communicate(timeout=20)[0].splitlines(), process.wait(20)

    def test_an_interrupt_comes_once(self):
        self.assertEqual(self.interrupt(times=1), (["interrupted", "whole"], 130))

    def test_what_must_be_whole_hears_of_the_second_only(self):
        self.assertEqual(self.interrupt("--whole", times=0), (["whole"], 0))
        said, code = self.interrupt("--whole", times=1)
        self.assertIn("worker finishes what is under way", said[0])
        self.assertEqual((said[1:], code), (["whole"], 130))
        said, code = self.interrupt("--whole", times=2)
        self.assertEqual((said[1:], code), (["interrupted", "whole"], 130))


class Deployed(Copy):
    def setUp(self):
        super().setUp()
        outputs = {
            "autoscaling_group_name": "tideline",
            "region": "eu-west-1",
            "url": "http://balancer.test",
            "log_group_name": "/tideline/service",
            "launch_template_version": 3,
            "rollout_alarm_names": ["tideline-5xx", "tideline-unhealthy"],
        }
        answer = json.dumps({name: {"value": value} for name, value in outputs.items()})
        (self.folder / "terraform" / "terraform.tfstate").touch()
        self.tool("terraform", f"echo '{answer}'")

    def test_a_line_that_comes_late_is_printed_once(self):
        # Each look finds what the last one found, for they overlap; the second comes out of order.
        self.tool("sleep", "exit 0")
        self.tool(
            "aws",
            f"""cd {self.folder}; echo "$*" >>asked
case $(wc -l <asked) in
1) echo '[["1", 1000000, "first"], ["3", 1003000, "third"]]';;
2) echo '[["1", 1000000, "first"], ["2", 1001000, "second"], ["3", 1003000, "third"]]';;
*) echo 'no more' >&2; exit 9;;
esac""",
        )
        done = self.run_script("logs", FOLLOW="1")
        self.assertEqual(done.stdout.splitlines(), ["first", "third", "second"])
        self.assertIn("no more", done.stderr)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("--log-group-name /tideline/service", (self.folder / "asked").read_text())

    def test_a_rollout_goes_to_the_latest_version_with_the_alarms(self):
        self.tool("fleet", 'echo "$@"')
        done = self.run_script("fleet", "rollout", "--json", TIDELINE_FLEET=str(self.bin / "fleet"))
        said = "rollout --group tideline --to 3 --alarm tideline-5xx,tideline-unhealthy --json"
        self.assertEqual(done.stdout.strip(), said, done.stderr)
        done = self.run_script("fleet", "images", "prune", "--keep", "2", TIDELINE_FLEET=str(self.bin / "fleet"))
        self.assertEqual(done.stdout.strip(), "images prune --group tideline --keep 2", done.stderr)

    def test_a_rollout_under_way_is_joined(self):
        # 6 is fleet's word for it; the next one finds that it is over.
        self.tool("fleet", f'cd {self.folder}; echo "$1" >>did; [ "$(wc -l <did)" != 1 ] || exit 6')
        done = self.run_script("rollout", TIDELINE_FLEET=str(self.bin / "fleet"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.folder / "did").read_text().split(), ["rollout", "watch", "rollout", "wait"])

    def test_a_rollout_that_went_back_is_a_failure(self):
        self.tool("fleet", "exit 3")
        self.assertEqual(self.run_script("rollout", TIDELINE_FLEET=str(self.bin / "fleet")).returncode, 3)

    def test_the_load_test_finds_the_fleet_and_its_token(self):
        self.tool("cargo", 'echo "$TIDELINE_TOKEN $*"')
        (self.folder / "terraform" / "write-token").write_text("the-token-of-this-deployment\n")
        done = self.run_script("load-test", "smoke", "--rate", "5")
        self.assertIn("the-token-of-this-deployment ", done.stdout, done.stderr)
        self.assertIn("--features aws -- smoke --url http://balancer.test --group tideline --out target/load-test/smoke --rate 5", done.stdout)
        # The token is that fleet's, and nobody else's business.
        done = self.run_script("load-test", "smoke", URL="http://127.0.0.1:8080")
        self.assertIn("smoke --url http://127.0.0.1:8080", done.stdout, done.stderr)
        self.assertNotIn("the-token", done.stdout)
        self.assertNotIn("--group", done.stdout)


if __name__ == "__main__":
    unittest.main()
