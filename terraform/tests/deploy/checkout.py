"""A copy of this checkout, with a repository of its own, and its make targets in an environment that leads to one endpoint."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pretend import CLI, OVERRIDE, REGION, ROOT

PROJECT = ROOT.parent
BOUND = 900


class Checkout:
    def __init__(self, endpoint):
        # Nobody's profile, region or variables: a rehearsal must not find its way to an account.
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TF_", "MAKE")) or k in CLI}
        self.environment = ours | {
            "PATH": f"{os.environ['TIDELINE_AWS_CLI']}:{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "GIT_CONFIG_GLOBAL": os.devnull,
        }

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tideline-checkout-"))
        # For the sockets between Terraform and the provider, which it leaves when it is killed.
        (self.folder / "target" / "tmp").mkdir(parents=True)
        self.environment["TMPDIR"] = str(self.folder / "target" / "tmp")
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=PROJECT, capture_output=True, check=True
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (PROJECT / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(PROJECT / name, self.folder / name)
        (self.folder / "terraform" / "moto_override.tf").write_text(OVERRIDE)
        self.git("init", "--quiet")
        self.commit("The first version")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def git(self, *words):
        return self._run("git", *words)

    def commit(self, subject):
        self.git("add", "--all")
        self.git("-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "--quiet", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "HEAD").strip()

    def terraform(self, *words):
        return self._run("terraform", "-chdir=terraform", *words)

    def make(self, target, fails=False, **variables):
        """Runs a target, and gives what it said on both outputs."""
        return self._run("make", target, fails=fails, **variables)

    def interrupt(self, target, when, **variables):
        """Runs a target, and presses Ctrl-C as soon as `when()`; gives what it said."""
        with tempfile.TemporaryFile("w+") as said:
            process = self._start(["make", target], said, variables)
            try:
                end = time.monotonic() + BOUND
                while not when():
                    if process.poll() is not None or time.monotonic() > end:
                        said.seek(0)
                        raise SystemExit(f"make {target} ended before it could be interrupted: {said.read()}")
                    time.sleep(0.1)
                os.killpg(process.pid, signal.SIGINT)
                assert process.wait(BOUND) != 0, f"make {target} was interrupted and says that all is well"
                said.seek(0)
                return said.read()
            finally:
                self._kill(process)

    def script(self, name, *words, fails=False):
        return self._run(f"terraform/scripts/{name}", *words, fails=fails)

    def _run(self, *command, fails=False, **variables):
        with tempfile.TemporaryFile("w+") as said:
            process = self._start(command, said, variables)
            try:
                code = process.wait(BOUND)
            finally:
                self._kill(process)
            said.seek(0)
            text = said.read()
            if (code != 0) != fails:
                sys.stderr.write(text)
                raise SystemExit(f"{' '.join(command)}: exit {code}")
            return text

    def _start(self, command, said, variables):
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment | variables, stdin=subprocess.DEVNULL,
            # What it starts is in its group and ends with it.
            stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def _kill(self, process):
        """Also after a failure of the test's own, nothing goes on."""
        for number, bound in ((signal.SIGTERM, 150), (signal.SIGKILL, 10)):
            if process.poll() is None:
                os.killpg(process.pid, number)
                try:
                    process.wait(bound)
                except subprocess.TimeoutExpired:
                    pass
