"""moto's server on loopback, and Terraform in a copy of the configuration that knows of nothing else."""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import boto3

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT.parent / "rehearsal" / "moto" / "server.py"
REGION = "eu-west-1"

# The one thing about the provider that no variable of the environment says: moto has no host for each bucket.
OVERRIDE = 'provider "aws" {\n  s3_use_path_style = true\n}\n'


def start_server() -> str:
    """Starts moto's server on a free port and returns its URL. It ends with this process, whose pipe it reads."""
    server = subprocess.Popen([sys.executable, SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.communicate, timeout=20)
    url = server.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:"), url
    return url


class Clients:
    """boto3's clients, by name: `aws.ec2`."""

    def __init__(self, endpoint: str):
        session = boto3.session.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
        self._make = lambda service: session.client(service, endpoint_url=endpoint)

    def __getattr__(self, service: str):
        client = self._make(service)
        setattr(self, service, client)
        return client


class Terraform:
    """Terraform in a temporary copy of the configuration, with an environment that leads to `endpoint` alone."""

    def __init__(self, endpoint: str):
        # Nobody's profile, region, variables or log settings: a rehearsal must not find its way to an account.
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TF_")) or k in CLI}
        self.environment = ours | {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
        }
        self.process = None

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tideline-terraform-"))
        # For the sockets between Terraform and the provider, which it leaves when it is killed.
        (self.folder / "tmp").mkdir()
        self.environment["TMPDIR"] = str(self.folder / "tmp")
        for source in ROOT.glob("*.tf"):
            shutil.copy(source, self.folder)
        (self.folder / "moto_override.tf").write_text(OVERRIDE)
        self._run("init", "-backend=false")
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def apply(self, variables: dict) -> dict:
        """Applies, and returns the outputs."""
        self._settings(variables)
        self._run("apply", "-auto-approve")
        outputs = json.loads(self._run("output", "-json"))
        return {name: output["value"] for name, output in outputs.items()}

    def plan_is_empty(self):
        """Fails, and shows the plan, if applying again would change anything."""
        self._run("plan", "-detailed-exitcode")

    def destroy(self, variables: dict):
        self._settings(variables)
        self._run("destroy", "-auto-approve")

    def _settings(self, variables: dict):
        (self.folder / "terraform.tfvars.json").write_text(json.dumps(variables))

    def _run(self, *command: str, bound: int = 240) -> str:
        with tempfile.TemporaryFile("w+") as said:
            self.process = subprocess.Popen(
                ["terraform", command[0], "-no-color", *command[1:]],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                # What it starts, the provider, is in its group and ends with it.
                start_new_session=True,
            )
            try:
                end = f"exit status {self.process.wait(bound)}"
            except subprocess.TimeoutExpired:
                end = f"not done after {bound} s"
            said.seek(0)
            if self.process.returncode != 0:
                shutil.copyfileobj(said, sys.stderr)
                raise SystemExit(f"terraform {' '.join(command)}: {end}")
            return said.read()


# Where providers come from is the machine's business.
CLI = ("TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR", "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE")
