"""A stand-in for DynamoDB, as much of it as writing a document and reading it back takes; prints its address.

It checks what the real one would refuse for these calls: an unknown operation or table, a key that is not whole, a
condition that does not hold. It keeps nothing.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TABLE, KEY = "verify", ("shard", "id")
items = {}


class Refusal(Exception):
    """An answer that is an error, by DynamoDB's name for it."""


def key_of(attributes):
    try:
        return tuple(attributes[name]["S"] for name in KEY)
    except KeyError as missing:
        raise Refusal("ValidationException") from missing


def describe_table(_):
    return {"Table": {"TableName": TABLE, "TableStatus": "ACTIVE"}}


def get_item(request):
    item = items.get(key_of(request["Key"]))
    return {"Item": item} if item else {}


def put_item(request):
    key, condition = key_of(request["Item"]), request.get("ConditionExpression")
    if condition not in (None, "attribute_not_exists(id)"):
        raise Refusal("ValidationException")
    if condition and key in items:
        raise Refusal("ConditionalCheckFailedException")
    items[key] = request["Item"]
    return {}


OPERATIONS = {"DescribeTable": describe_table, "GetItem": get_item, "PutItem": put_item}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        operation = self.headers.get("x-amz-target", "").removeprefix("DynamoDB_20120810.")
        try:
            if operation not in OPERATIONS:
                raise Refusal("UnknownOperationException")
            if request.get("TableName") != TABLE:
                raise Refusal("ResourceNotFoundException")
            status, answer = 200, OPERATIONS[operation](request)
        except Refusal as refusal:
            status, answer = 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{refusal}", "message": operation}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/x-amz-json-1.0")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing: the bake's log is for the bake."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print("{}:{}".format(*server.server_address), flush=True)
    server.serve_forever()
