"""EC2 and DynamoDB for the tests: moto's, whose instances are machines that boot.

    region.py --namespace NS --address ADDRESS --root FOLDER --images FOLDER --cache FOLDER

In the network namespace it answers the AWS protocols on ADDRESS, prints the endpoint, and serves until standard input
ends. Its one public image is Debian 13, the root file system FOLDER. Starting an instance boots a machine from its image
(see `machine`), stopping it powers the machine off, and creating an image copies the machine's root to
IMAGES/<image id>. Machines reach Debian's packages, and nothing else, through a proxy on ADDRESS; what they fetched is
kept in CACHE.
"""

import argparse
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Thread

HERE = Path(__file__).resolve().parent
MACHINE = HERE.parent.parent / "rehearsal" / "scripts" / "machine"
DEBIAN = "136693071363"
SOURCE_AMI = "ami-debian13"
# Machines are addressed from here; the network's own address is at its other end.
FIRST_HOST = 10


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("namespace", "address", "root", "images", "cache"):
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_args()


def machine(*words):
    """Runs `machine`; what it complains of becomes the caller's error."""
    done = subprocess.run([MACHINE, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"machine {words[0]}: {done.stderr.strip()}")


class Machines:
    """What moto's EC2 calls when an instance changes: here it becomes real."""

    def __init__(self, options, proxy):
        self.options, self.proxy = options, proxy
        self.roots = {SOURCE_AMI: options.root}
        self.booted = 0

    def boot(self, instance, public_key):
        self.booted += 1
        address = re.sub(r"\d+$", str(FIRST_HOST + self.booted), re.sub(r"\.\d+\.\d+$", ".0.0", self.options.address))
        interface = instance.nics[0]
        interface.private_ip_address, interface.public_ip = address, None
        for each in interface.private_ip_addresses:
            each["PrivateIpAddress"] = address
        machine(
            "boot", instance.id, "--root", self.roots[instance.image_id], "--namespace", self.options.namespace,
            "--address", f"{address}/16", "--gateway", self.options.address,
            "--ssh-key", public_key, "--apt-proxy", self.proxy,
        )  # fmt: skip

    def image(self, instance_id, ami_id):
        folder = Path(self.options.images) / ami_id
        machine("image", instance_id, str(folder))
        self.roots[ami_id] = str(folder)


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

    run, stop, end, create = (
        getattr(EC2Backend, name)
        for name in ("run_instances", "stop_instances", "terminate_instances", "create_image")
    )

    def run_instances(self, image_id, count, user_data, security_group_names, **more):
        reservation = run(self, image_id, count, user_data, security_group_names, **more)
        for instance in reservation.instances:
            closed_to_the_world(instance.security_groups)
            machines.boot(instance, self.key_pairs[instance.key_name].public_key.strip())
        return reservation

    def stop_instances(self, instance_ids):
        for instance_id in instance_ids:
            machine("power-off", instance_id)
        return stop(self, instance_ids)

    def terminate_instances(self, instance_ids):
        for instance_id in instance_ids:
            machine("remove", instance_id)
        return end(self, instance_ids)

    def create_image(self, instance_id, *rest, **more):
        image = create(self, instance_id, *rest, **more)
        machines.image(instance_id, image.id)
        return image

    for function in (run_instances, stop_instances, terminate_instances, create_image):
        setattr(EC2Backend, function.__name__, told(function))


def listen_in(namespace, address):
    """A listener on a free port in the network namespace; this process stays in its own, which leads to the Internet."""
    ours, theirs = socket.socketpair()
    script = (
        "import socket, sys; listener = socket.create_server((sys.argv[1], 0), backlog=256); "
        "socket.send_fds(socket.socket(fileno=int(sys.argv[2])), [b'x'], [listener.fileno()])"
    )
    command = ["nsenter", f"--net=/run/netns/{namespace}", sys.executable, "-c", script, address, str(theirs.fileno())]
    subprocess.run(command, check=True, pass_fds=[theirs.fileno()])
    _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    return socket.socket(fileno=descriptors[0])


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


def serve(options, folder):
    images = Path(folder) / "amis.json"
    images.write_text(json.dumps(source_images()))
    # Read when moto is imported.
    os.environ["MOTO_AMIS_PATH"] = str(images)

    from apt_proxy import serve_packages
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    proxy = listen_in(options.namespace, options.address)
    serve_packages(proxy, Path(options.cache))
    hook(Machines(options, "http://{}:{}".format(*proxy.getsockname())))

    listener = listen_in(options.namespace, options.address)
    host, port = listener.getsockname()
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server(host, port, application, threaded=True, fd=listener.fileno())
    Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://{host}:{port}", flush=True)
    sys.stdin.read()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with tempfile.TemporaryDirectory() as folder:
        serve(arguments(), folder)


if __name__ == "__main__":
    main()
