"""The AWS API: moto's server, with what it does otherwise than AWS put right (see repair.py).

    server.py
    server.py --namespace NS --address ADDRESS --root FOLDER --images FOLDER --packages FOLDER [--outside]

Prints its URL, and serves until standard input ends. Alone, on loopback. With machines that boot for build instances (see
machines.py): in the network namespace NS, on its own ADDRESS there; or, --outside, on loopback, and so are the machines'
public addresses. The one public image is Debian 13, the root file system --root; images that are made go to --images.
Machines reach Debian's packages, and nothing else, through a proxy on ADDRESS; what they fetched is kept in --packages.
"""

import argparse
import json
import logging
import os
import signal
import socket
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

WITH_MACHINES = ("address", "root", "images", "packages")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("namespace", *WITH_MACHINES):
        parser.add_argument(f"--{name}")
    parser.add_argument("--outside", action="store_true")
    options = parser.parse_args()
    if options.namespace and not all(getattr(options, name) for name in WITH_MACHINES):
        parser.error(f"with --namespace, all of --{', --'.join(WITH_MACHINES)} are needed")
    return options


def with_machines(options, closing):
    """Has machines boot for build instances. Gives the network that they are in."""
    from machines import Machines, hook, source_images
    from network import Namespace
    from packages import serve_packages

    with tempfile.NamedTemporaryFile("w", suffix=".json") as images:
        json.dump(source_images(), images)
        images.flush()
        # Read when moto is imported.
        os.environ["MOTO_AMIS_PATH"] = images.name
        import moto.ec2.models  # noqa: F401

    namespace = Namespace(options.namespace)
    proxy = namespace.listen(options.address)
    serve_packages(proxy, Path(options.packages))
    machines = Machines(options, namespace, "http://{}:{}".format(*proxy.getsockname()))
    closing.callback(machines.close)
    hook(machines)
    return namespace


def serve(options, closing):
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # A certificate is validated at once.
    os.environ["MOTO_ACM_VALIDATION_WAIT"] = "0"
    namespace = with_machines(options, closing) if options.namespace else None

    import repair  # noqa: F401, for what it does to moto
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    if namespace and not options.outside:
        listener = namespace.listen(options.address)
    else:
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    host, port = listener.getsockname()
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server(host, port, application, threaded=True, fd=listener.fileno())
    Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://{host}:{port}", flush=True)
    sys.stdin.read()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with ExitStack() as closing:
        serve(arguments(), closing)


if __name__ == "__main__":
    main()
