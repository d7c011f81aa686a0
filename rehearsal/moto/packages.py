"""A proxy for apt in a network that leads nowhere. It keeps packages and indexes, whose names say which version they are,
so that a second bake needs no Internet for them; what has no such name is asked for again, and served from what was
kept only when there is no answer."""

import hashlib
import re
import shutil
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

# apt asks for indexes by their hash, and a pool holds one file of a name.
FIXED = re.compile(r"/(by-hash|pool)/")
TIMEOUT = 60


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cache: Path

    def do_GET(self):
        if not self.path.startswith("http://"):
            return self.send_error(403, "this proxy is for apt")
        kept = self.cache / hashlib.sha256(self.path.encode()).hexdigest()
        if not (FIXED.search(self.path) and kept.exists()):
            try:
                self.fetch(kept)
            except urllib.error.HTTPError as error:
                return self.send_error(error.code)
            except OSError as error:
                if not kept.exists():
                    return self.send_error(502, str(error))
        with kept.open("rb") as body:
            self.send_response(200)
            self.send_header("content-length", str(kept.stat().st_size))
            self.end_headers()
            shutil.copyfileobj(body, self.wfile)

    def fetch(self, kept):
        part = kept.with_suffix(f".{id(self)}")
        with urllib.request.urlopen(self.path, timeout=TIMEOUT) as answer, part.open("wb") as body:
            shutil.copyfileobj(answer, body)
        part.replace(kept)

    def log_message(self, *_):
        """Nothing: apt tells what it misses."""


class Server(ThreadingHTTPServer):
    daemon_threads = True


def serve_packages(listener, cache):
    """Serves on a bound listener, in threads of its own, as long as the process lives."""
    cache.mkdir(parents=True, exist_ok=True)
    handler = type("CachingHandler", (Handler,), {"cache": cache})
    server = Server(listener.getsockname(), handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    Thread(target=server.serve_forever, daemon=True).start()
