"""What moto's EC2 does to build instances, done to machines that boot (see `machine`).

A build instance has a key pair and no launch template: it boots from its image when it is run, is powered off when it is
stopped, and an image of it is a copy of its root, IMAGES/<image id>. Those of a group, which have a template, are booted by
whoever launched them; here they are rows of a table.
"""

import shutil
import subprocess
from itertools import count
from pathlib import Path

from network import PublicAddress

MACHINE = Path(__file__).resolve().parent.parent / "scripts" / "machine"
DEBIAN = "136693071363"
SOURCE_AMI = "ami-debian13"
# Machines are addressed from here; the network's own address is at its other end.
FIRST_HOST = 10


def machine(*words):
    """Runs `machine`; what it complains of becomes the caller's error."""
    done = subprocess.run([MACHINE, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"machine {words[0]}: {done.stderr.strip()}")


class Machines:
    """Those of build instances, and the images that were made of them."""

    def __init__(self, options, namespace, proxy):
        self.options, self.namespace, self.proxy = options, namespace, proxy
        self.roots = {SOURCE_AMI: options.root}
        self.hosts = count()
        # By instance; none where callers are in the network themselves.
        self.public = {}

    def boot(self, instance, public_key):
        if instance.image_id not in self.roots:
            raise RuntimeError(f"{instance.image_id} is no image that boots")
        network = self.options.address.rsplit(".", 2)[0]
        # Few run at a time.
        address = f"{network}.0.{FIRST_HOST + next(self.hosts) % 200}"
        public = self.public[instance.id] = PublicAddress(self.namespace, address) if self.options.outside else None
        interface = instance.nics[0]
        interface.private_ip_address, interface.public_ip = address, public and public.address
        for each in interface.private_ip_addresses:
            each["PrivateIpAddress"] = address
        try:
            machine(
                "boot", instance.id, "--root", self.roots[instance.image_id], "--namespace", self.options.namespace,
                "--address", f"{address}/16", "--gateway", self.options.address,
                "--ssh-key", public_key, "--apt-proxy", self.proxy,
            )  # fmt: skip
        except RuntimeError:
            self.remove(instance.id)
            raise

    def power_off(self, instance_id):
        if instance_id in self.public:
            machine("power-off", instance_id)

    def remove(self, instance_id):
        if instance_id in self.public:
            public = self.public.pop(instance_id)
            if public:
                public.close()
            machine("remove", instance_id)

    def image(self, instance_id, ami_id):
        if instance_id in self.public:
            root = Path(self.options.images) / ami_id
            self.roots[ami_id] = str(root)
            machine("image", instance_id, str(root))

    def forget(self, ami_id):
        """Removes an image's root, unless a machine has a layer over it: then it is removed with the others."""
        root = self.roots.get(ami_id)
        if ami_id != SOURCE_AMI and root and f"lowerdir={root}," not in Path("/proc/mounts").read_text():
            shutil.rmtree(self.roots.pop(ami_id), ignore_errors=True)

    def close(self):
        """An image is of this region alone: nobody knows it afterwards."""
        for public in filter(None, self.public.values()):
            public.close()
        for ami_id, root in self.roots.items():
            if ami_id != SOURCE_AMI:
                shutil.rmtree(root, ignore_errors=True)


def closed_to_the_world(groups):
    """AWS would not mind, this region does: a build instance that anybody may knock at."""
    sources = [rule.ip_range.get("CidrIp") for group in groups for rule in group.ingress_rules]
    if not sources or "0.0.0.0/0" in sources:
        raise RuntimeError(f"the instance's security groups admit {sources or 'nobody'}")


def told(function):
    """An error in EC2's own form, so that the caller can show it and does not try again."""

    def call(*args, **more):
        from moto.ec2.exceptions import EC2ClientError

        try:
            return function(*args, **more)
        except RuntimeError as error:
            raise EC2ClientError("UnsupportedOperation", str(error)) from error

    call.__name__ = function.__name__
    return call


def hook(machines):
    """Puts the machines behind moto's EC2."""
    from moto.ec2.models import EC2Backend

    run, stop, end, create, deregister = (
        getattr(EC2Backend, name)
        for name in ("run_instances", "stop_instances", "terminate_instances", "create_image", "deregister_image")
    )

    def run_instances(self, image_id, count, user_data, security_group_names, **more):
        builds = more.get("key_name") and not more.get("launch_template")
        reservation = run(self, image_id, count, user_data, security_group_names, **more)
        for instance in reservation.instances if builds else ():
            closed_to_the_world(instance.security_groups)
            machines.boot(instance, self.key_pairs[instance.key_name].public_key.strip())
        return reservation

    def stop_instances(self, instance_ids):
        for instance_id in instance_ids:
            machines.power_off(instance_id)
        return stop(self, instance_ids)

    def terminate_instances(self, instance_ids):
        for instance_id in instance_ids:
            machines.remove(instance_id)
        return end(self, instance_ids)

    def create_image(self, instance_id, *rest, **more):
        image = create(self, instance_id, *rest, **more)
        machines.image(instance_id, image.id)
        return image

    def deregister_image(self, ami_id):
        done = deregister(self, ami_id)
        machines.forget(ami_id)
        return done

    for function in (run_instances, stop_instances, terminate_instances, create_image, deregister_image):
        setattr(EC2Backend, function.__name__, told(function))


def source_images():
    """The images that Debian publishes: one that boots, and one that is of another's name."""
    image = {
        "ami_id": SOURCE_AMI,
        "name": "debian-13-amd64-20260101-0001",
        "description": "Debian 13",
        "owner_id": DEBIAN,
        "architecture": "x86_64",
        "root_device_name": "/dev/xvda",
        "root_device_type": "ebs",
        "virtualization_type": "hvm",
        "hypervisor": "xen",
        "image_type": "machine",
        "platform": None,
        "public": True,
        "state": "available",
        "sriov": "simple",
        "creation_date": "2026-01-01T00:00:00.000Z",
    }
    newer = "2026-01-02T00:00:00.000Z"
    return [image, image | {"ami_id": "ami-stranger", "owner_id": "000000000000", "creation_date": newer}]
