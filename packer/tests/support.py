"""What the tests share: the machines, the bake, requests over a connection each, and waiting that has an end."""

import http.client
import json
import os
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
MACHINE = PROJECT / "rehearsal" / "scripts" / "machine"
TARGET = PROJECT / "target" / "image"
MANIFEST = TARGET / "manifest.json"
# `run` sets these: the region's endpoint, and the network that machines are in, of which this process is.
ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
NAMESPACE = os.environ["TIDELINE_NAMESPACE"]
BRIDGE = os.environ["TIDELINE_BRIDGE"]
BINARY = os.environ["TIDELINE_BINARY"]
PORT = 8080
# Apart from those that the region gives to the build instances.
ADDRESSES = iter(f"172.31.100.{host}" for host in range(1, 250))

SETTINGS = f"""#cloud-config
write_files:
  - path: /etc/tideline/tideline.env
    permissions: "0600"
    content: |
      TIDELINE_TABLE=tideline
      TIDELINE_CREATE_TABLE=true
      AWS_ENDPOINT_URL={ENDPOINT}
      AWS_REGION=eu-central-1
      AWS_ACCESS_KEY_ID=test
      AWS_SECRET_ACCESS_KEY=test
      # The test's table is a process beside it on the same cores, not DynamoDB.
      TIDELINE_STORE_ATTEMPT_TIMEOUT=2s
      TIDELINE_STORE_TIMEOUT=5s
"""


def report(text):
    """A figure for the one who reads the output."""
    print(f"      {text}", flush=True)


def busy():
    """Why measurements say little now, or nothing: others use this machine's cores."""
    load, cores = os.getloadavg()[0], os.cpu_count()
    return f"load {load:.1f} on {cores} cores" if load > cores else ""


def command(*words, check=True, timeout=120, **more):
    """Runs a command and gives its output; what it complains of is the error's text."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, **more)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, words))}: exit {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout if check else done


def wait(what, condition, seconds, pause=0.02):
    """Waits for a condition and gives its value; `what` names it where it does not come in time."""
    end = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(pause)


class Machine:
    """A machine that boots from a root file system, with its user data."""

    def __init__(self, name, root, user_data=SETTINGS, prepare=None):
        self.name, self.root, self.address = name, root, next(ADDRESSES)
        self.state = Path(os.environ["TIDELINE_MACHINES"]) / name
        self.user_data, self.prepare = user_data, prepare

    def boot(self):
        file = TARGET / f"{self.name}.user-data"
        file.write_text(self.user_data)
        if self.prepare:
            # A layer of its own, before it first boots.
            self.prepare(self.state / "upper")
        self.powered_on = time.monotonic()
        command(
            MACHINE, "boot", self.name, "--root", self.root, "--namespace", NAMESPACE,
            "--address", f"{self.address}/16", "--gateway", BRIDGE, "--user-data", file,
        )  # fmt: skip
        file.unlink()
        return self

    def __enter__(self):
        return self.boot()

    def __exit__(self, *_):
        command(MACHINE, "remove", self.name)

    def run(self, *words, **more):
        return command(MACHINE, "exec", self.name, *words, **more)

    def off(self):
        """Whether it is powered off."""
        pid = self.state / "pid"
        return not Path(f"/proc/{pid.read_text().strip()}").exists()

    def power_off(self):
        command(MACHINE, "power-off", self.name)

    def property(self, name, unit="tideline.service"):
        return self.run("systemctl", "show", "--value", "--property", name, unit).strip()

    def main_pid(self):
        return int(self.property("MainPID"))

    def kill(self, signal):
        self.run("kill", f"-{signal}", str(self.main_pid()))

    def file(self, path):
        """A file as it stands in the machine's root, also when it is off."""
        return self.state / "root" / path.lstrip("/")

    def console(self):
        return (self.state / "console.log").read_text(errors="replace")[-3000:]

    def ask(self, path, method="GET", body=None, timeout=5, headers=()):
        """One request on a connection of its own: status and body. What goes wrong is an OSError."""
        connection = http.client.HTTPConnection(self.address, PORT, timeout=timeout)
        try:
            connection.request(method, path, body, {"connection": "close", **dict(headers)})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as error:
            raise ConnectionError(repr(error)) from error
        finally:
            connection.close()

    def healthy(self):
        try:
            return self.ask("/health", timeout=1)[0] == 200
        except OSError:
            return False

    def serving(self, seconds=60):
        """Waits until it serves; gives the seconds since power-on."""
        try:
            wait(f"{self.name} answers /health with 200", self.healthy, seconds, pause=0.01)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.console()}") from None
        return time.monotonic() - self.powered_on


def bake(**environment):
    """Runs packer/bake against the region, in this network; gives the finished process."""
    return command(
        HERE.parent / "bake", "-var", "ssh_interface=private_ip", "-var", f'ssh_source_cidrs=["{BRIDGE}/32"]',
        "-var", "cloudwatch_agent=false",
        check=False, timeout=600, cwd=PROJECT, env=os.environ | environment,
    )  # fmt: skip


def baked():
    """The newest image's entry in the manifest, by the run that made it."""
    manifest = json.loads(MANIFEST.read_text())
    return next(build for build in manifest["builds"] if build["packer_run_uuid"] == manifest["last_run_uuid"])


def root_of(build):
    return TARGET / "baked" / build["artifact_id"].split(":")[1]
