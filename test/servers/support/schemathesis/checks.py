"""What Schemathesis has to be told of Keystead: bodies of lines, and what no answer may be."""

import json
import os
import re

import jsonschema_rs
import schemathesis

# Texts that no answer may have in it: the token, the master key, the folder.
SECRETS = [text for text in os.environ["KEYSTEAD_FUZZ_SECRETS"].split("\n") if text]
# "all": everything is allowed. "nobody": there is no token. "weak": a token that may do nothing.
CALLER = os.environ["KEYSTEAD_FUZZ_CALLER"]
STACK = re.compile(r"(?m)^\s+at .+:\d+:\d+|node:internal|node_modules|\.ts:\d+")
LINES = "application/x-ndjson"
PROBLEM = "application/problem+json"


@schemathesis.serializer(LINES)
def lines_of(_context, value):
    """A few times the same line, then one that is no JSON: the lines beside it are answered."""
    if isinstance(value, bytes):
        return {"data": value}
    line = json.dumps(value).encode()
    return {"data": b"\n".join([line, line, b"{", line])}


def type_of(response):
    return (response.headers.get("content-type") or [""])[0].split(";")[0]


@schemathesis.check
def problem_is_whole(_context, response, _case):
    """A failure is a problem that says the same as its status and headers."""
    if response.status_code < 400:
        return
    assert type_of(response) == PROBLEM, f"a failure is {type_of(response)!r}, not a problem"
    problem = response.json()
    assert problem["status"] == response.status_code, "the problem tells another status"
    assert [problem["requestId"]] == response.headers["x-request-id"], "the problem tells another request id"
    assert problem["type"] == f"urn:keystead:error:{problem['code']}", "the problem's type is not that of its code"


@schemathesis.check
def nothing_secret(_context, response, case):
    """No answer has a secret or a stack trace."""
    text = response.content.decode("utf-8", "replace")
    for secret in SECRETS:
        assert secret not in text, "the answer has a secret, or the path of the data folder"
    assert STACK.search(text) is None, "the answer has a stack trace"


@schemathesis.check
def lines_conform(_context, response, case):
    """Each line of a stream is what the document says."""
    if type_of(response) != LINES or response.status_code != 200:
        return
    document = case.operation.schema.raw_schema
    content = document["paths"][case.operation.path][case.operation.method]["responses"]["200"]["content"]
    schema = {**content[LINES]["schema"], "components": document["components"]}
    validator = jsonschema_rs.validator_for(schema)
    for line in response.content.splitlines():
        assert validator.is_valid(json.loads(line)), f"a line breaks its schema: {line[:500]!r}"


@schemathesis.check
def only_the_allowed(_context, response, case):
    """Who may do nothing gets nothing."""
    if CALLER == "all" or not case.operation.definition.raw.get("security") or not response.status_code < 300:
        return
    if CALLER == "weak":
        if case.operation.path == "/v1/whoami":
            return
        # Each item is refused by itself.
        if type_of(response) == LINES:
            assert all("problem" in json.loads(line) for line in response.content.splitlines()), "a line was answered"
            return
        body = response.json() if response.content else None
        for name in ("items", "leases"):
            if isinstance(body, dict) and isinstance(body.get(name), list):
                assert all("problem" in item for item in body[name]), "an item was answered"
                return
    raise AssertionError(f"{CALLER} was answered {response.status_code}")
