"""`tideline-rehearsal up`: machines boot, serve behind the load balancer, are replaced under load, and leave nothing."""

import http.client
import json
import os
import shlex
import signal
import socket
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

from stack import NAME, Stack

PROGRAM = os.environ["TIDELINE_REHEARSAL"]
FOLDER = Path(os.environ["TIDELINE_FOLDER"])
IMAGE = os.environ["TIDELINE_IMAGE"]
MACHINE = Path(__file__).resolve().parents[2] / "scripts" / "machine"
CPUS = 0.5
SPEED = 4
LOG_DISK = 48


def number():
    """The run's own, from its folder by FNV-1a, as the program has it."""
    name = 0x811C9DC5
    for byte in os.fsencode(FOLDER):
        name = (name ^ byte) * 0x01000193 & 0xFFFFFFFF
    return name


NAMESPACE = f"rehearsal-{number():08x}"
# Another checkout may have a run at the same time.
BALANCER = f"127.54.{number() >> 8 & 0xFF}.{number() & 0xFF}"
# Where everything of a run is, for `up` and `run`.
SITE = [
    "--folder", FOLDER, "--images", os.environ["TIDELINE_IMAGES"], "--cache", os.environ["TIDELINE_CACHE"], "--balancer", BALANCER,
]  # fmt: skip


def report(text):
    """A figure for the one who reads the output."""
    print(f"      {text}", flush=True)


def wait(what, condition, seconds, pause=0.1):
    """Waits for a condition and gives its value; `what` names it where it does not come in time."""
    end = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(pause)


def machine(*words, check=True):
    done = subprocess.run(
        [MACHINE, *words], capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL,
        env=os.environ | {"TIDELINE_MACHINES": str(FOLDER / "machines")},
    )  # fmt: skip
    if check and done.returncode:
        raise AssertionError(f"machine {' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def ask(path, method="GET", body=None, headers=()):
    """One request through the load balancer, on a connection of its own: status, headers, body."""
    connection = http.client.HTTPConnection(BALANCER, 80, timeout=5)
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


class Rehearsal:
    """The program as a process."""

    def __init__(self, *more):
        self.log = open(FOLDER.parent / "up.log", "a+")
        self.process = subprocess.Popen(
            [
                PROGRAM, "up", *SITE, "--cpus", str(CPUS), "--memory", "512", "--speed", str(SPEED),
                "--log-disk", str(LOG_DISK), *more,
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
        )  # fmt: skip
        # What it prints is for a shell; the last line is its last word.
        self.environment, line = {}, None
        while line != "" and not (line or "").startswith("# Then"):
            line = self.process.stdout.readline()
            if line.startswith("export "):
                name, value = shlex.split(line)[1].split("=", 1)
                self.environment[name] = value
        if not line:
            raise AssertionError(f"it does not start: {Path(self.log.name).read_text()[-2000:]}")
        self.endpoint = self.environment["AWS_ENDPOINT_URL"]

    def end(self, how):
        self.process.send_signal(how)
        code = self.process.wait(120)
        self.process.stdin.close()
        self.process.stdout.close()
        self.log.close()
        return code


def left():
    """What there is of the run in this folder: another checkout may have one of its own."""
    lines = lambda *words, **more: subprocess.run(words, capture_output=True, text=True, **more).stdout.splitlines()  # noqa: E731
    found = [f"namespace {line}" for line in lines("ip", "netns", "list") if line.split()[0] == NAMESPACE]
    found += [f"mount {line}" for line in lines("findmnt", "--noheadings", "--output", "TARGET", "--list") if str(FOLDER) in line]
    for path in lines("find", "/sys/fs/cgroup", "-name", "tideline-i-*"):
        # As `machine` names it.
        name, _, number = Path(path).name.removeprefix("tideline-").rpartition("-")
        if lines("cksum", input=f"{FOLDER}/machines/{name}\n")[0].split()[0] == number:
            found.append(f"control group {path}")
    found += [f"process {line}" for line in lines("pgrep", "--full", "--list-full", f"(nspawn|haproxy|python|bash).*{FOLDER}/")]
    found += [f"socket {path}" for path in Path("/run").glob(f"{NAMESPACE}.sock")]
    found += [f"image {path}" for path in (FOLDER / "moto/images").glob("*")]
    return found


class Load:
    """Requests, from some clients at once, over connections that are kept; some of them take their time."""

    def __init__(self, clients=4, slow=4):
        self.answers, self.failures, self.over = {}, [], threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(self.read,)) for _ in range(clients)]
        self.threads += [threading.Thread(target=self.run, args=(self.write_slowly,)) for _ in range(slow)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def read(self, connection):
        connection.request("GET", "/data/first")

    def write_slowly(self, connection):
        """Its body takes a second and a half: there is always one under way."""
        body = b'{"level_m":4.270}'
        connection.putrequest("PUT", f"/data/{threading.get_ident()}")
        connection.putheader("content-type", "application/json")
        connection.putheader("content-length", str(len(body)))
        connection.endheaders(body[:5])
        time.sleep(1.5)
        connection.send(body[5:])

    def run(self, ask):
        connection = http.client.HTTPConnection(BALANCER, 80, timeout=5)
        while not self.over.wait(0.02):
            try:
                ask(connection)
                answer = connection.getresponse()
                answer.read()
                who = answer.headers["x-tideline-instance"]
                self.answers[who] = self.answers.get(who, 0) + 1
                if answer.status not in (200, 201):
                    self.failures.append(f"{time.strftime('%X')} {ask.__name__} {answer.status} of {who}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{time.strftime('%X')} {ask.__name__} {error!r}")
                connection.close()
        connection.close()


def refused(*words, **more):
    """What the program says when it does not start."""
    command = [PROGRAM, "up", *SITE, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **more)
    if not done.returncode or done.stdout:
        raise AssertionError(f"it starts, or says so: {done.stdout}{done.stderr}")
    return done.stderr


class Refused(unittest.TestCase):
    """What cannot work, which is said at once and leaves nothing."""

    def tearDown(self):
        self.assertEqual(left(), [])

    def test_a_port_of_the_load_balancer_that_is_taken(self):
        with socket.create_server((BALANCER, 80)):
            said = refused()
        self.assertIn(f"cannot listen on {BALANCER}:80: Address already in use", said)
        self.assertIn("--balancer", said)

    def test_a_port_of_the_region_that_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.assertIn(f"cannot listen on 127.0.0.1:{port}", refused("--listen", f"127.0.0.1:{port}"))

    def test_somebody_who_is_not_root(self):
        # Where it can be run by whoever it is.
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            program = shutil.copy(PROGRAM, folder)
            done = subprocess.run(
                [program, "up", "--folder", "run"], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                user=65534, group=65534, extra_groups=[], cwd="/tmp",
            )  # fmt: skip
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("machines need root", done.stderr)

    def test_packages_that_are_missing(self):
        with tempfile.TemporaryDirectory() as folder:
            said = refused(env={"PATH": folder})
        (line,) = [line for line in said.splitlines() if "apt-get" in line]
        for package in ("haproxy", "mmdebstrap", "python3-venv", "systemd-container"):
            self.assertIn(package, line)

    def test_moto_that_does_not_start(self):
        venv, kept = FOLDER / "moto" / "venv", FOLDER / "moto" / "venv.kept"
        if venv.exists():
            venv.rename(kept)
            self.addCleanup(kept.rename, venv)
        self.addCleanup(shutil.rmtree, venv)
        (venv / "bin").mkdir(parents=True)
        shutil.copy(MACHINE.parents[1] / "moto" / "requirements.txt", venv / "installed.txt")
        # To be found whole, it runs an empty script.
        (venv / "bin" / "python").write_text("#!/bin/sh\n[ \"$1\" = -c ] || { echo it is broken >&2; exit 1; }\n")
        (venv / "bin" / "python").chmod(0o755)
        self.assertIn("moto's server does not start: it is broken", refused())

    def test_an_end_before_it_is_up(self):
        process = subprocess.Popen(
            [PROGRAM, "up", *SITE], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait("it has begun", lambda: any(line.startswith("process") for line in left()), 60, pause=0.01)
        process.send_signal(signal.SIGINT)
        said, complaint = process.communicate(timeout=60)
        self.assertEqual((process.returncode, said), (1, ""))
        self.assertIn("ended before it was up", complaint)
        wait("nothing is left", lambda: not left(), 10)


class Up(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        FOLDER.parent.mkdir(parents=True, exist_ok=True)
        cls.rehearsal = Rehearsal()
        cls.addClassCleanup(lambda: cls.rehearsal.process.poll() is None and cls.rehearsal.end(signal.SIGTERM))
        cls.stack = Stack(cls.rehearsal.endpoint)
        cls.stack.make(IMAGE)
        cls.began, cls.region_began = time.monotonic(), cls.stack.now()

    def healthy(self, *ids):
        """Waits until these, or any two, are healthy; gives their ids."""
        def condition():
            healthy = {name for name, state in self.stack.health().items() if state == "healthy"}
            return healthy if (set(ids) <= healthy if ids else len(healthy) >= 2) else None

        try:
            return wait("two targets are healthy", condition, 60)
        except AssertionError as error:
            consoles = [machine("exec", name, "journalctl", "--no-pager", "--lines", "40", check=False) for name in self.stack.instances()]
            raise AssertionError(f"{error}: {self.stack.health()}\n{self.stack.causes()}\n{consoles}\n{(FOLDER.parent / 'up.log').read_text()}") from None

    def test_1_two_machines_boot_and_become_healthy(self):
        wait("two machines run", lambda: len(machine("list").split()) == 2, 30)
        running = time.monotonic() - self.began
        ids = self.healthy()
        report(f"group made → two machines on {running:.1f} s → two targets healthy {time.monotonic() - self.began:.1f} s")
        self.assertEqual({instance["AvailabilityZone"] for instance in self.stack.instances().values()}, {"eu-west-1a", "eu-west-1b"})
        self.assertEqual(set(self.stack.instances()), ids)
        # While machines came up, time was this machine's; now nothing but waiting happens.
        passed, region_passed = time.monotonic() - self.began, self.stack.now() - self.region_began
        self.assertAlmostEqual(region_passed.total_seconds(), passed, delta=4)
        began, region_began = time.monotonic(), self.stack.now()
        time.sleep(3)
        passed, region_passed = time.monotonic() - began, self.stack.now() - region_began
        self.assertAlmostEqual(region_passed.total_seconds(), passed * SPEED, delta=4)

    def test_2_each_knows_who_it_is(self):
        zones = {name: each["AvailabilityZone"] for name, each in self.stack.instances().items()}
        seen = {}
        for _ in range(20):
            status, headers, _body = ask("/status")
            self.assertEqual(status, 200)
            seen[headers["x-tideline-instance"]] = headers["x-tideline-zone"]
        self.assertEqual(seen, zones)
        for name in zones:
            self.assertIn("DataSourceEc2", machine("exec", name, "cat", "/run/cloud-init/result.json"))
            self.assertIn("Version 1 of", machine("exec", name, "cat", "/etc/tideline/tideline.env"))
            self.assertEqual(json.loads(machine("exec", name, "cat", "/run/cloud-init/result.json"))["v1"]["errors"], [])

    def test_3_the_metadata_service_wants_a_token(self):
        name = next(iter(self.stack.instances()))
        base = "http://169.254.169.254/latest"

        def curl(*words):
            answer = machine("exec", name, "curl", "--silent", "--max-time", "3", "--write-out", "\n%{http_code}", *words)
            body, _, status = answer.rpartition("\n")
            return int(status), body

        self.assertEqual(curl(f"{base}/meta-data/instance-id")[0], 401)
        status, token = curl("-X", "PUT", "-H", "x-aws-ec2-metadata-token-ttl-seconds: 60", f"{base}/api/token")
        self.assertEqual(status, 200)
        header = ("-H", f"x-aws-ec2-metadata-token: {token}")
        self.assertEqual(curl(*header, f"{base}/meta-data/instance-id"), (200, name))
        self.assertEqual(curl(*header, f"{base}/meta-data/tags/instance/Build"), (200, "1"))
        self.assertEqual(curl(*header, f"{base}/meta-data/iam/security-credentials/"), (200, "tideline-instance"))
        # A token is one instance's: another that has come by it is told nothing.
        other = next(each for each in self.stack.instances() if each != name)
        answer = machine("exec", other, "curl", "--silent", "--write-out", "%{http_code}", *header, f"{base}/meta-data/instance-id")
        self.assertTrue(answer.endswith("401"), answer)

    def test_4_the_balancer_is_as_terraform_made_it(self):
        for path in ("/metrics", "/metrics/more"):
            status, headers, body = ask(path)
            self.assertEqual((status, body, "x-tideline-instance" in headers), (404, b"Not found", False))
        json_type = {"content-type": "application/json"}
        self.assertEqual(ask("/data", "POST", b'{"id":"first","level_m":4.270}', json_type)[0], 201)
        self.assertEqual(ask("/data/first")[2], b'{"id":"first","level_m":4.27}')
        # What is changed later takes a reload, which nobody notices.
        with Load() as load:
            time.sleep(0.5)
            self.stack.close("/closed")
            wait("the new rule holds", lambda: ask("/closed")[2] == b"Closed", 20)
            time.sleep(2)
        self.assertEqual(load.failures, [])
        self.assertEqual(len(load.answers), 2)

    def test_4_its_name_leads_there(self):
        (balancer,) = self.stack.elb.describe_load_balancers()["LoadBalancers"]
        self.assertEqual(balancer["DNSName"], BALANCER)

    def test_5_a_machine_gets_its_allowance_and_no_more(self):
        name = next(iter(self.stack.instances()))
        groups = (FOLDER / "machines" / name / "cgroups").read_text().split()
        usage = next((Path(group) / "cpuacct.usage" for group in groups if (Path(group) / "cpuacct.usage").exists()), None)
        if usage is None:
            self.skipTest("this test reads control groups of version 1")
        before, began = int(usage.read_text()), time.monotonic()
        # Through its init: what is started from outside is not in its control groups.
        burn = ("systemd-run", "--quiet", "--wait", "timeout", "4", "sh", "-c", "while :; do :; done")
        machine("exec", name, *burn, check=False)
        used = (int(usage.read_text()) - before) / 1e9 / (time.monotonic() - began)
        report(f"a machine that would use all of a CPU, and may use {CPUS}: {used:.2f}")
        self.assertLess(used, CPUS * 1.1)
        self.assertGreater(used, CPUS * 0.5)

    def test_6_a_rolling_replacement_loses_no_request(self):
        before = set(self.healthy())
        began = time.monotonic()
        with Load() as load:
            refresh = self.stack.refresh("2")
            over = wait("the refresh is over", lambda: (it := self.stack.refreshed(refresh))["Status"] not in ("Pending", "InProgress") and it, 240, pause=0.5)
            self.assertEqual(over["Status"], "Successful", over)
            wait("the old machines are gone", lambda: not before & set(machine("list").split()), 60)
        report(f"replaced in {time.monotonic() - began:.0f} s: {sum(load.answers.values())} requests, {len(load.failures)} failed, by {len(load.answers)} instances")
        self.assertEqual(load.failures, [])
        after = set(self.healthy())
        self.assertEqual(len(after), 2)
        self.assertFalse(before & after)
        self.assertTrue(after <= set(load.answers))
        for name in after:
            self.assertIn("Version 2 of", machine("exec", name, "cat", "/etc/tideline/tideline.env"))

    def test_7_a_full_log_disk_fails_no_request(self):
        name = min(self.healthy())
        run = lambda line, **how: machine("exec", name, "sh", "-c", line, **how)  # noqa: E731
        logged = lambda: int(run("cat /var/log/tideline/* | wc --bytes"))  # noqa: E731
        self.assertEqual(run("stat --file-system --format %T /var/log").strip(), "tmpfs")
        self.assertEqual(int(run("df --output=size --block-size=1M /var/log | tail -n 1")), LOG_DISK)
        before = logged()
        with Load():
            wait("it logs there", lambda: logged() > before, 10)
        run("head -c 1G /dev/zero >/var/log/fill", check=False)
        self.assertEqual(int(run("df --output=avail --block-size=1 /var/log | tail -n 1")), 0)
        with Load() as load:
            # Longer than the load balancer takes to find a target unhealthy.
            time.sleep(15)
            full = logged()
            self.assertEqual(run("curl --silent --output /dev/null --write-out %{http_code} http://127.0.0.1:8080/health"), "200")
            time.sleep(2)
            self.assertEqual(logged(), full)
        self.assertEqual(load.failures, [])
        self.assertGreater(load.answers.get(name, 0), 100)
        self.assertEqual(self.stack.health()[name], "healthy")
        run("rm /var/log/fill")
        with Load():
            wait("it logs again", lambda: logged() > full, 10)
        report(f"a full log disk: {sum(load.answers.values())} requests, {len(load.failures)} failed; {load.answers[name]} by the one with no room")

    def test_7_a_power_cut_is_noticed_and_made_good(self):
        victim = next(iter(self.stack.instances()))
        began = time.monotonic()
        machine("kill", victim)
        wait("another serves in its place", lambda: victim not in self.healthy(), 120)
        wait("two are healthy", lambda: len(self.stack.instances()) == 2 and len(self.healthy()) == 2, 120)
        report(f"power cut → two healthy targets again {time.monotonic() - began:.0f} s")

    def test_7_cpu_above_its_target_scales_out(self):
        before = set(self.healthy())
        self.assertEqual(len(before), 2)
        self.stack.track(50)
        for name in before:
            machine("exec", name, "systemd-run", "--quiet", "timeout", "100", "sh", "-c", "while :; do :; done")
        began = time.monotonic()
        # Three minutes of the region's above the target, and one that was begun.
        wait("the group grows", lambda: len(self.stack.instances()) > 2, 120)
        report(f"all CPU in use → more machines asked for {time.monotonic() - began:.0f} s, at four times the speed")
        self.assertEqual(self.stack.alarms(), {"AlarmHigh": "ALARM", "AlarmLow": "OK"})
        new = wait("a new one is healthy", lambda: self.healthy() - before, 60)
        self.assertRegex(self.stack.causes(), "AlarmHigh.*changing the desired capacity from 2 to [34]")
        report(f"→ healthy {time.monotonic() - began:.0f} s: {len(new)} more")

    def test_8_after_a_crash_down_leaves_nothing(self):
        self.assertTrue(left())
        refused = subprocess.run([PROGRAM, "down", "--folder", FOLDER], capture_output=True, text=True, timeout=60)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("runs in", refused.stderr)
        self.assertEqual(self.rehearsal.end(signal.SIGKILL), -signal.SIGKILL)
        found = left()
        self.assertTrue(any(line.startswith("process") for line in found), found)
        # It reads a pipe, which has ended.
        wait("moto's server ends by itself", lambda: not any("server.py" in line for line in left()), 20)
        # As if it had been killed as well, with an image that it made.
        (FOLDER / "moto/images/ami-left").mkdir(parents=True)
        subprocess.run([PROGRAM, "down", "--folder", FOLDER], check=True, timeout=120)
        self.assertEqual(left(), [])

    def test_9_it_removes_everything_when_it_ends(self):
        rehearsal = Rehearsal()
        self.assertTrue(left())
        self.assertEqual(rehearsal.end(signal.SIGTERM), 0)
        self.assertEqual(left(), [])


if __name__ == "__main__":
    unittest.main()
