"""Sends generated requests to every path of docs/openapi.json, by schemathesis, and fails for a
500 and for a response that is not described. Starts the program that is named, on a free port."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

SECRET = "0123456789abcdef0123456789abcdef"
TOKENS_SECRET = "fedcba9876543210fedcba9876543210"

CONFIG = f"""
environment = "sandbox"
[server]
listen = "127.0.0.1:0"
admin_listen = ""
drain_delay_s = 0
public_url = "https://app.example.com"
[pandium]
account = "acme"
shared_secret = "{SECRET}"
[identity]
preset = "auth_request"
trusted_proxies = ["127.0.0.1/32"]
[entrances.tokens]
path = "/tokens"
[entrances.tokens.identity]
kind = "bearer"
issuer = "https://login.example.com/"
audience = "the-marketplace"
algorithms = ["HS256"]
shared_secret = "{TOKENS_SECRET}"
[embed]
parents = ["https://app.example.com"]
login_url = "https://app.example.com/login"
[store]
url = "sqlite:FOLDER/sso.db"
encryption_key = "a-key-of-the-store-that-is-32-bytes-long"
timeout_s = 30
[mittwald]
extension_ids = ["018f2c4e-0000-7000-8000-000000000001"]
api_url = "http://127.0.0.1:1"
[audit]
durability = "commit"
"""

CHECKS = ",".join(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "allow_header_conformance",
        "negative_data_rejection",
        "ignored_auth",
    ]
)


def user_token():
    """A token of the entrance `tokens`."""
    part = lambda value: base64.urlsafe_b64encode(value).rstrip(b"=")
    now = int(time.time())
    claims = {"iss": "https://login.example.com/", "aud": "the-marketplace", "sub": "u-1",
              "email": "alice@example.com", "iat": now, "exp": now + 3600}
    text = part(b'{"alg":"HS256"}') + b"." + part(json.dumps(claims).encode())
    signature = hmac.new(TOKENS_SECRET.encode(), text, hashlib.sha256).digest()
    return (text + b"." + part(signature)).decode()


def schemathesis(folder, url, what, arguments, name=None):
    """Runs schemathesis; `name`: the entrance to verify at, in place of generated names."""
    settings = f'[parameters]\n"path.name" = "{name}"\n' if name else ""
    (folder / "schemathesis.toml").write_text(settings)
    program = pathlib.Path(sys.executable).with_name("schemathesis")
    command = [program, "--config-file", folder / "schemathesis.toml", "run", f"{url}/v1/openapi.json",
               "--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "100",
               "--generation-deterministic", "--suppress-health-check", "too_slow", "--request-timeout", "60",
               "--continue-on-failure", "--no-color", *arguments]
    print(f"== {what}", flush=True)
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    return subprocess.run(command, cwd=folder, env=environment).returncode == 0


def main(program):
    folder = pathlib.Path(tempfile.mkdtemp())
    config = folder / "sso.toml"
    config.touch(0o600)
    config.write_text(CONFIG.replace("FOLDER", str(folder)))
    create = [program, "token", "create", "--config", config, "--name"]
    scope = ["--scope", "audit:read"]
    token = subprocess.check_output([*create, "reader", *scope], text=True, stderr=subprocess.PIPE).strip()
    scope = ["--scope", "links:create"]
    other = subprocess.check_output([*create, "other", *scope], text=True, stderr=subprocess.PIPE).strip()
    scope = ["--scope", "mittwald:tokens"]
    shop = subprocess.check_output([*create, "shop", *scope], text=True, stderr=subprocess.PIPE).strip()
    log = folder / "log"
    with log.open("w") as to:
        service = subprocess.Popen([program, "serve", "--config", config], stderr=to)
    try:
        while not (listening := re.search(r'"listen":"([^"]+)"', log.read_text())):
            if service.poll() is not None:
                sys.exit(log.read_text())
            time.sleep(0.05)
        url = listening.group(1)
        for _ in range(5):
            request = urllib.request.Request(f"{url}/pandium-sso", headers={
                "X-Auth-Request-Email": "alice@example.com", "Accept": "application/json"})
            urllib.request.urlopen(request).close()
        bearer = lambda text: ["--header", f"Authorization:Bearer {text}"]
        mittwald = ["--include-path-regex", "^/v1/mittwald/"]
        verify = ["--include-path", "/v1/verify/{name}"]
        results = [
            schemathesis(folder, url, "with a token", bearer(token)),
            schemathesis(folder, url, "with a token for instances", [*mittwald, *bearer(shop)]),
            schemathesis(folder, url, "with a user's token", [*verify, *bearer(user_token())], "tokens"),
            schemathesis(folder, url, "without a scope", ["--exclude-path", "/v1/verify/{name}", *bearer(other)]),
            schemathesis(folder, url, "without a token", []),
        ]
        # a crash would end it, and a panic is logged
        is_running = service.poll() is None
        # the requests got past authentication
        verified = [program, "audit", "list", "--config", config, "--outcome", "verified", "--format", "jsonl"]
        is_reached = subprocess.check_output(verified) and re.search(r'"events":[1-9]', log.read_text())
    finally:
        service.terminate()
        service.wait()
    if "panicked" in log.read_text():
        sys.exit(f"a handler panicked; see {log}")
    if not is_reached:
        sys.exit(f"no generated request was served; see {log}")
    if not (is_running and all(results)):
        sys.exit("the API is not as docs/openapi.json describes it")
    shutil.rmtree(folder)


main(pathlib.Path(sys.argv[1]).resolve())
