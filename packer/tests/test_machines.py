"""Machines that boot from the baked image: how soon they serve, and what it takes to stop them."""

import json
import re
import resource
import threading
import time
import unittest
from pathlib import Path

from support import SETTINGS, Machine, busy, report, root_of, wait
from test_bake import image

# Seconds that tell a service that starts from one that is stuck, on any machine. How fast it is, is measured and told: on one
# and the same machine, the same build was back after kill -9 in 0.09 s at one hour and in 0.58 s at another.
BOOT = 30
RESTART = 5
WATCHDOG = 20


def measured(text):
    report(f"{text}{f' ({busy()}: says little)' if busy() else ''}")


class Pair(unittest.TestCase):
    """Two machines side by side, of one table."""

    @classmethod
    def setUpClass(cls):
        root = root_of(image()[0])
        cls.machines = [Machine(f"pair-{letter}", root) for letter in "ab"]
        for machine in cls.machines:
            cls.addClassCleanup(machine.__exit__)
            machine.boot()
        cls.seconds = [machine.serving() for machine in cls.machines]

    def test_1_they_serve_within_seconds_of_power_on(self):
        for machine, seconds in zip(self.machines, self.seconds):
            ready = int(machine.property("ActiveEnterTimestampMonotonic")) / 1e6 - machine.powered_on
            started = int(machine.property("ExecMainStartTimestampMonotonic")) / 1e6 - machine.powered_on
            measured(f"{machine.name}: power-on → process {started:.2f} s → READY {ready:.2f} s → first 200 {seconds:.2f} s")
            self.assertLess(seconds, BOOT)
        self.assertNotIn("failed", self.machines[0].run("systemctl", "list-units", "--failed", "--no-legend", "--plain"))

    def test_2_what_one_writes_the_other_reads(self):
        first, second = self.machines
        document = b'{"id":"pair","level_m":4.270}'
        status, _ = first.ask("/data", "POST", document, headers={"content-type": "application/json"}.items())
        self.assertEqual(status, 201)
        self.assertEqual(second.ask("/data/pair"), (200, b'{"id":"pair","level_m":4.27}'))
        instances = {json.loads(each.ask("/status")[1])["instance"]["id"] for each in self.machines}
        self.assertEqual(instances, {"pair-a", "pair-b"})

    def test_3_they_are_not_twins(self):
        for file in ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub"):
            first, second = (machine.file(file).read_text() for machine in self.machines)
            self.assertNotEqual(first, second, file)
            self.assertTrue(first.strip())

    def test_4_limits_and_listener_are_as_written(self):
        machine = self.machines[0]
        limits = machine.run("cat", f"/proc/{machine.main_pid()}/limits")
        # Where the tests run in a container themselves, even root cannot raise its own limit.
        files = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        if files < 65536:
            report(f"LimitNOFILE=65536 cannot be shown: this machine grants nobody more than {files}")
        self.assertRegex(limits, rf"Max open files +{files} +{files}")
        listener = machine.run("ss", "--listening", "--tcp", "--numeric", "--no-header", "sport = :8080")
        self.assertRegex(listener, r"LISTEN +\d+ +4096 +0\.0\.0\.0:8080 ")
        # The admin listener is the machine's own.
        admin = machine.run("ss", "--listening", "--tcp", "--numeric", "--no-header", "sport = :9100")
        self.assertIn("127.0.0.1:9100", admin)
        self.assertNotIn("0.0.0.0:9100", admin)
        for timer in ("apt-daily.timer", "apt-daily-upgrade.timer", "unattended-upgrades.service"):
            self.assertEqual(machine.property("LoadState", timer), "masked")
        self.assertEqual(machine.property("DynamicUser"), "yes")
        self.assertNotEqual(machine.run("stat", "--format=%u", f"/proc/{machine.main_pid()}").strip(), "0")

    def test_5_warnings_of_the_journal_are_in_the_file_that_is_shipped(self):
        machine, shipped = self.machines[0], "/var/log/private/tideline-journal/warnings.log"

        def found(text):
            file = machine.file(shipped)
            lines = file.read_text().splitlines() if file.exists() else []
            return [line for line in lines if text in json.loads(line)["MESSAGE"]]

        machine.run("logger", "--priority", "warning", "a warning to be shipped")
        machine.run("logger", "--priority", "info", "nothing to be shipped")
        wait("the warning is in the file", lambda: found("a warning to be shipped"), 15)
        self.assertEqual(found("nothing to be shipped"), [])
        machine.run("logrotate", "--force", "/etc/logrotate.d/tideline-journal")
        machine.run("logger", "--priority", "warning", "one after the rotation")
        wait("the next warning is in the file", lambda: found("one after the rotation"), 15)
        self.assertEqual(found("a warning to be shipped"), [])
        # A restart neither says it again nor misses what came meanwhile.
        machine.run("systemctl", "stop", "tideline-journal.service")
        machine.run("logger", "--priority", "err", "an error meanwhile")
        machine.run("systemctl", "start", "tideline-journal.service")
        wait("the error is in the file", lambda: found("an error meanwhile"), 15)
        self.assertEqual(len(found("one after the rotation")), 1)

    def test_6_a_hung_process_is_restarted_by_the_watchdog(self):
        machine = self.machines[0]
        hung = machine.main_pid()
        machine.run("kill", "-STOP", str(hung))
        stopped = time.monotonic()
        self.assertFalse(machine.healthy())
        wait("it serves again", machine.healthy, WATCHDOG + 5)
        seconds = time.monotonic() - stopped
        measured(f"hung → serving again {seconds:.1f} s")
        self.assertLess(seconds, WATCHDOG)
        self.assertNotEqual(machine.main_pid(), hung)
        self.assertIn("Watchdog timeout", machine.run("journalctl", "--no-pager", "--unit", "tideline.service"))

    def test_7_kill_9_under_load_costs_what_was_in_flight(self):
        machine = self.machines[0]
        with Load(machine, "/product/pair", workers=8) as load:
            wait("the load runs", lambda: load.answered > 200, 30)
            killed = time.monotonic()
            machine.kill("KILL")
            dead = time.monotonic()
            wait("it serves again", lambda: load.after(dead), 15, pause=0.002)
            time.sleep(1)
        back = load.after(dead)[0] - killed
        measured(f"kill -9 under {load.answered / load.seconds:.0f} requests/s → serving again {back * 1000:.0f} ms, {len(load.failures)} failed")
        self.assertLess(back, RESTART)
        self.assertLessEqual(len(load.failures), 8)
        for started, fault in load.failures:
            # What began after the process was dead waited in the kernel for the next one.
            self.assertLess(started, dead, fault)

    def test_8_dying_again_and_again_it_is_started_again_and_again(self):
        machine = self.machines[0]
        # Far more than the 5 starts after which systemd gives up by default. By the binary's name, because the process
        # is another one each time.
        script = "left=30; while [ $left -gt 0 ]; do pkill -KILL --exact tideline && left=$((left - 1)); sleep 0.1; done"
        before = int(machine.property("NRestarts"))
        with Load(machine, "/health", workers=2):
            machine.run("timeout", "60", "sh", "-c", script)
        wait("it serves again", machine.healthy, 10)
        self.assertGreaterEqual(int(machine.property("NRestarts")) - before, 25)
        self.assertEqual(machine.property("ActiveState", "tideline.socket"), "active")

    def test_9_power_off_finishes_a_slow_request(self):
        machine = self.machines[1]
        slow = SlowRequest(machine)
        wait("the request has begun", slow.begun.is_set, 5)
        off = threading.Thread(target=machine.power_off)
        began = time.monotonic()
        off.start()
        wait("/health says 503", lambda: machine.ask("/health")[0] == 503, 5)
        # Still serving while the balancer looks away.
        self.assertEqual(machine.ask("/data/pair")[0], 200)
        # The drain delay of 5 s is over, its timeout of 25 s not.
        time.sleep(7 - (time.monotonic() - began))
        self.assertFalse(machine.off())
        slow.go_on()
        self.assertEqual(slow.status(), 201)
        off.join()
        measured(f"power button → off {time.monotonic() - began:.1f} s, a request of 7 s answered")
        log = [json.loads(line) for line in machine.file("/var/log/private/tideline/tideline.log").read_text().splitlines()]
        self.assertIn("Clean", json.dumps(log[-1]))
        # It comes back as itself.
        machine.boot()
        machine.serving()
        self.assertEqual(machine.ask("/data/slow")[0], 200)


class Order(unittest.TestCase):
    """What is stopped after what, and what is not started at all."""

    def test_the_last_lines_of_the_log_are_shipped(self):
        # In the agent's place and under its name: reads the log when it is told to stop, and as its drop-in allows.
        agent = "[Service]\nExecStart=/usr/bin/sleep infinity\nExecStopPost=/usr/bin/cp /var/log/tideline/tideline.log /var/lib/shipped\n"
        wants = "etc/systemd/system/multi-user.target.wants/amazon-cloudwatch-agent.service"

        def prepare(layer):
            unit = layer / "etc/systemd/system/amazon-cloudwatch-agent.service"
            (layer / wants).parent.mkdir(parents=True)
            unit.write_text(agent)
            (layer / wants).symlink_to("../amazon-cloudwatch-agent.service")

        with Machine("order", root_of(image()[0]), prepare=prepare) as machine:
            machine.serving()
            self.assertEqual(machine.property("ActiveState", "amazon-cloudwatch-agent.service"), "active")
            machine.power_off()
            shipped = machine.file("/var/lib/shipped").read_text().splitlines()
        self.assertIn("ended", shipped[-1])

    def test_a_machine_whose_setting_up_fails_powers_off(self):
        root = root_of(image()[0])
        for stage, fault in (("network", "bootcmd:\n  - [sh, -c, exit 1]\n"), ("final", "runcmd:\n  - [sh, -c, exit 1]\n")):
            with self.subTest(stage), Machine(f"fails-{stage}", root, SETTINGS + fault) as machine:
                wait("it is powered off", machine.off, 60)
                report(f"cloud-init fails in its {stage} stage → off {time.monotonic() - machine.powered_on:.0f} s")

    def test_bad_settings_are_said_and_tried_again(self):
        settings = SETTINGS.replace("TIDELINE_TABLE=tideline", "TIDELINE_TABLE=tideline\n      TIDELINE_MAX_BODY=much")
        with Machine("settings", root_of(image()[0]), settings) as machine:
            wait("it has run", lambda: machine.off() or _exit_code(machine) == 64, 60)
            journal = machine.run("journalctl", "--no-pager", "--unit", "tideline.service")
            self.assertIn("TIDELINE_MAX_BODY", journal)
            machine.run("sed", "-i", "/MAX_BODY/d", "/etc/tideline/tideline.env")
            wait("it serves once the setting is right", machine.healthy, 15)


def _exit_code(machine):
    try:
        return int(machine.property("ExecMainStatus"))
    except AssertionError:
        # Not yet booted as far as that.
        return None


class Sandbox(unittest.TestCase):
    """A probe in the service's own sandbox tries to get out of it; outside of it the same probe does get everywhere."""

    def test_nothing_is_possible_but_to_serve(self):
        service = Path(__file__).parent.parent.parent / "systemd" / "tideline.service"
        unit = service.read_text().split("[Install]")[0]
        unit = re.sub(r"(?m)^(ExecStart|Restart|RestartSec|WatchdogSec|WatchdogSignal|Requires|EnvironmentFile)=.*\n", "", unit)
        unit = re.sub(r"(?m)^Type=.*$", "Type=oneshot\nExecStart=/usr/bin/python3 /usr/local/lib/probe.py", unit)
        # The one thing that it may more than the service: to be started.
        unit = re.sub(r"(?m)^(ExecPaths=.*)$", r"\1 /usr/bin/python3 /usr/bin/python3.13", unit)
        free = "[Service]\nType=oneshot\nExecStart=/usr/bin/python3 /usr/local/lib/probe.py\nStateDirectory=tideline\nLogsDirectory=tideline\n"

        def prepare(layer):
            for name, text in (("probe", unit), ("free", free)):
                file = layer / f"etc/systemd/system/{name}.service"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            probe = layer / "usr/local/lib/probe.py"
            probe.parent.mkdir(parents=True)
            probe.write_text((Path(__file__).parent / "probe.py").read_text())

        with Machine("sandbox", root_of(image()[0]), prepare=prepare) as machine:
            machine.serving()
            results = {}
            for name in ("free", "probe"):
                machine.run("systemctl", "start", f"{name}.service")
                lines = machine.run("journalctl", "--no-pager", "--output=cat", "--unit", f"{name}.service", "--grep", "^PROBE ")
                results[name] = json.loads(lines.splitlines()[-1].removeprefix("PROBE "))
        allowed = {name for name, outcome in results["probe"].items() if outcome == "done"}
        self.assertEqual(allowed, {"write its state", "write its log", "open a TCP socket", "read its settings"})
        impossible = {name: outcome for name, outcome in results["free"].items() if outcome != "done"}
        self.assertEqual(impossible, {}, "these say nothing about the sandbox: nobody can do them here")
        report(f"{len(results['free'])} attempts outside of the sandbox: all done; inside: {', '.join(sorted(allowed))}")


class Load:
    """Requests one after the other in each worker, a connection each, until it is left."""

    def __init__(self, machine, path, workers):
        self.machine, self.path = machine, path
        self.successes, self.failures, self.ending = [], [], threading.Event()
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(workers)]

    @property
    def answered(self):
        return len(self.successes)

    def after(self, moment):
        """When those that were answered after a moment were, from the first on."""
        return sorted(ended for ended in list(self.successes) if ended > moment)

    def work(self):
        while not self.ending.is_set():
            started = time.monotonic()
            try:
                status, _ = self.machine.ask(self.path, timeout=10)
                if status != 200 and self.path != "/health":
                    self.failures.append((started, f"status {status}"))
                else:
                    self.successes.append(time.monotonic())
            except OSError as fault:
                self.failures.append((started, repr(fault)))

    def __enter__(self):
        self.began = time.monotonic()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()
        self.seconds = time.monotonic() - self.began


class SlowRequest:
    """A POST whose body ends only when it is told to go on."""

    def __init__(self, machine):
        self.begun, self.rest, self.result = threading.Event(), threading.Event(), None
        self.thread = threading.Thread(target=self.send, args=[machine])
        self.thread.start()

    def send(self, machine):
        document = b'{"id":"slow","level_m":4.27}'

        def body():
            yield document[:5]
            self.begun.set()
            self.rest.wait(30)
            yield document[5:]

        headers = {"content-type": "application/json", "content-length": str(len(document))}
        try:
            self.result = machine.ask("/data", "POST", body(), timeout=30, headers=headers.items())[0]
        except OSError as fault:
            self.result = fault

    def go_on(self):
        self.rest.set()

    def status(self):
        self.thread.join()
        return self.result
