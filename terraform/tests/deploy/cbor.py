"""CloudWatch's newer protocol, CBOR, before a moto that speaks only the older one. The AWS SDK for Rust speaks only the newer."""

import io
import struct
from datetime import datetime

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.parsers import RpcV2CBORParser
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from pretend import REGION

PREFIX = "/service/GraniteServiceVersion20100801/operation/"


def encode(value):
    """A value of boto3's answer in CBOR (RFC 8949)."""

    def head(kind, size):
        return struct.pack(">BI", kind << 5 | 26, size)

    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, datetime):
        return b"\xc1" + encode(value.timestamp())
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(encode, value))
    return head(5, len(value)) + b"".join(encode(name) + encode(each) for name, each in value.items())


def translate(url):
    """Has moto's server at `url` understand CBOR."""
    client = boto3.client(
        "cloudwatch", region_name=REGION, endpoint_url=url, aws_access_key_id="test", aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip
    original = DomainDispatcherApplication.__call__

    def call(self, environ, start_response):
        path = environ.get("PATH_INFO", "")
        # boto3's own calls must not come back here.
        if not path.startswith(PREFIX) or "Boto" in environ.get("HTTP_USER_AGENT", ""):
            return original(self, environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        asked = RpcV2CBORParser().parse_data_item(io.BufferedReader(io.BytesIO(body))) if body else {}
        answer = getattr(client, xform_name(path.removeprefix(PREFIX)))(**asked)
        answer.pop("ResponseMetadata")
        start_response("200 OK", [("content-type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")])
        return [encode(answer)]

    DomainDispatcherApplication.__call__ = call
