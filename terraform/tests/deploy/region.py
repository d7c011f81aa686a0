"""The gateway before moto, and images in it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

from pretend import REGION

# How much faster than in life instances boot and refreshes go on.
SPEED = 60


@contextmanager
def gateway(upstream):
    """The endpoint of the pretend region, whose gateway passes to `upstream` what it does not do itself."""
    command = [os.environ["TIDELINE_REHEARSAL"], "region", "--listen", "127.0.0.1:0", "--upstream", upstream, "--speed", str(SPEED)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        if "http://" not in line:
            sys.exit(f"the pretend region did not start: {line}")
        yield "http://" + line.split("http://")[1].split()[0]
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


class Images:
    """Images with the tags that a bake gives them."""

    def __init__(self, aws):
        self.ec2 = aws.ec2

    def make(self, version, commit):
        public = self.ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        (builder,) = self.ec2.run_instances(ImageId=public, MinCount=1, MaxCount=1)["Instances"]
        image = self.ec2.create_image(InstanceId=builder["InstanceId"], Name=f"tideline-{version}-{commit[:7]}")["ImageId"]
        self.ec2.terminate_instances(InstanceIds=[builder["InstanceId"]])
        (found,) = self.ec2.describe_images(ImageIds=[image])["Images"]
        snapshots = [disk["Ebs"]["SnapshotId"] for disk in found["BlockDeviceMappings"]]
        tags = {
            "Application": "tideline",
            "Stack": "tideline",
            "tideline:version": version,
            "tideline:git-commit": commit,
            "tideline:git-dirty": "false",
        }
        self.ec2.create_tags(Resources=[image, *snapshots], Tags=[{"Key": k, "Value": v} for k, v in tags.items()])
        return image

    def baked(self, checkout):
        """What packer/bake leaves: an image, and an entry in the manifest; of a binary that stands in for the real one."""
        commit = checkout.commit("The next version")
        binary = checkout.folder / "target" / "binary"
        shutil.copy("/bin/true", binary)
        checkout.environment["TIDELINE_BINARY"] = str(binary)
        image = self.make("0.1.0", commit)
        build = {
            "packer_run_uuid": "2",
            "artifact_id": f"{REGION}:{image}",
            "custom_data": {
                "architecture": "amd64",
                "crate_version": "0.1.0",
                "git_commit": commit,
                "git_dirty": "false",
                "binary_sha256": hashlib.sha256(binary.read_bytes()).hexdigest(),
            },
        }
        manifest = checkout.folder / "target" / "image" / "manifest.json"
        manifest.parent.mkdir()
        # An earlier run, which must not be taken.
        earlier = build | {"packer_run_uuid": "1", "artifact_id": f"{REGION}:ami-0000000000000bad0"}
        manifest.write_text(json.dumps({"builds": [earlier, build], "last_run_uuid": "2"}))
        return image
