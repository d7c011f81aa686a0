"""`tideline-rehearsal run` where it cannot begin, fails, or is ended: a clear line, an exit code, and nothing left."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

from stack import Stack
from test_up import FOLDER, IMAGE, PROGRAM, SITE, left, wait

PROJECT = Path(__file__).resolve().parents[3]
# What the program looks for beside itself; what it does here, none of them comes to do.
BESIDE = ("tideline-fleet", "tideline-loadtest")
OURS = {name: value for name, value in os.environ.items() if name not in ("TIDELINE_FLEET", "TIDELINE_LOAD_TEST")}
# In CI nothing is skipped.
MISSING = [] if os.environ.get("CI") else [tool for tool in ("packer", "terraform") if not shutil.which(tool)]


class Run(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Gigabytes, of what is built of others' crates.
        cls.addClassCleanup(shutil.rmtree, FOLDER / "build", ignore_errors=True)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.beside = Path(folder.name)
        self.program = shutil.copy(PROGRAM, self.beside)
        for name in BESIDE:
            shutil.copy("/bin/true", self.beside / name)
        shutil.rmtree(FOLDER / "logs", ignore_errors=True)

    def run_in(self, project, **environment):
        return subprocess.Popen(
            [self.program, "run", *SITE], cwd=project, env=OURS | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def with_a(self, tool, script):
        """A path on which a tool is another."""
        tools = self.beside / "tools"
        tools.mkdir()
        (tools / tool).write_text(f"#!/bin/sh\n{script}\n")
        (tools / tool).chmod(0o755)
        return f"{tools}:{os.environ['PATH']}"

    def ended(self, process, code):
        said, complaint = process.communicate(timeout=120)
        self.assertEqual(process.returncode, code, complaint)
        self.assertEqual(left(), [])
        return said + complaint

    def test_what_is_missing_comes_in_one_list(self):
        for name in BESIDE:
            (self.beside / name).unlink()
        said = self.ended(self.run_in("/tmp"), 69)
        for reason in ("tideline-fleet is not beside", "tideline-loadtest is not beside", "/tmp is no checkout"):
            self.assertIn(reason, said)

    @unittest.skipIf(MISSING, f"needs {MISSING}")
    def test_a_target_that_fails_ends_it(self):
        # Terraform is there, and does nothing but fail.
        path = self.with_a("terraform", "echo it is broken >&2\nexit 1")
        said = self.ended(self.run_in(PROJECT, PATH=path), 1)
        self.assertIn("make build-app failed", said)
        self.assertIn("The rehearsal failed at “build-app”", said)
        report = json.loads((FOLDER / "report.json").read_text())
        self.assertFalse(report["passed"])
        self.assertEqual([step["name"] for step in report["steps"]], ["build-app"])
        self.assertIn("make build-app failed", (FOLDER / "report.html").read_text())

    @unittest.skipIf(MISSING, f"needs {MISSING}")
    def test_ctrl_c_ends_all_that_it_began(self):
        process = self.run_in(PROJECT)
        log = FOLDER / "logs" / "build-app.log"
        wait("it builds", lambda: log.exists() and "== build" in log.read_text(), 120)
        process.send_signal(signal.SIGINT)
        said = self.ended(process, 130)
        self.assertIn("ended before its time", said)
        at_work = ["pgrep", "--full", "--list-full", f"{FOLDER}/(build|checkout)"]
        self.assertEqual(subprocess.run(at_work, capture_output=True, text=True).stdout, "")

    @unittest.skipIf(MISSING, f"needs {MISSING}")
    def test_ctrl_c_ends_machines_and_none_comes_in_their_place(self):
        # make does nothing but say where the region is; the group is made here.
        told = self.beside / "endpoint"
        process = self.run_in(PROJECT, PATH=self.with_a("make", f"echo $AWS_ENDPOINT_URL >{told}\nexec sleep 600"))
        wait("the region is up", lambda: told.exists() and told.read_text().endswith("\n"), 120)
        Stack(told.read_text().strip()).make(IMAGE)
        consoles = FOLDER / "machines"
        wait("two machines boot", lambda: len(list(consoles.glob("i-*/console.log"))) >= 2, 60)
        process.send_signal(signal.SIGINT)
        self.assertIn("ended before its time", self.ended(process, 130))


if __name__ == "__main__":
    unittest.main()
