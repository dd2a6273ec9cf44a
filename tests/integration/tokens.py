# SPDX-License-Identifier: Apache-2.0
"""A token server on loopback that takes a refresh token once, and logins of it as Codex keeps them."""

import base64
import contextlib
import http.server
import json
import threading
import time

CLIENT_ID = "test-client"


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def tokens(n, life=3600):
    """Those of refresh number N; the access token ends in LIFE seconds."""
    now = int(time.time())
    head = {"alg": "none", "typ": "JWT"}
    access = f"{part(head)}.{part({'iat': now - 3600, 'exp': now + life, 'n': n})}.access-{n}-end"
    return {"id_token": f"{part(head)}.{part({'email': 'a@example.org'})}.x", "access_token": access, "refresh_token": f"planted-refresh-{n}"}


def login(n, life=3600):
    """The text of an auth.json."""
    return json.dumps(
        {
            "OPENAI_API_KEY": None,
            "tokens": {**tokens(n, life), "account_id": "account"},
            "last_refresh": "2026-01-01T00:00:00Z",
        },
        indent=2,
    )


class Server:
    def __init__(self, valid=1):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = outer.answer(body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.wfile.write(data)  # who asked may be gone

            def log_message(self, *_):
                pass

        self.life = 3600  # of the access tokens that it makes, in seconds
        self.valid = valid  # the refresh token that it takes
        self.requests = 0
        self.reused = 0
        self.lock = threading.Lock()
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    def config(self):
        url = f"http://127.0.0.1:{self.http.server_address[1]}/oauth/token"
        return f"[secrets]\noauth_endpoint = {url}\noauth_client_id = {CLIENT_ID}\n"

    def answer(self, body):
        """The token is used when the request is there, whether or not the answer is heard."""
        with self.lock:
            self.requests += 1
            good = body == {
                "client_id": CLIENT_ID,
                "grant_type": "refresh_token",
                "refresh_token": f"planted-refresh-{self.valid}",
                "scope": "openid profile email",
            }
            if good:
                self.valid += 1
            else:
                self.reused += 1
            n = self.valid
        self.asked.set()
        self.may_answer.wait()
        return (200, tokens(n, self.life)) if good else (401, {"error": {"code": "refresh_token_reused"}})

    def hold(self):
        self.asked.clear()
        self.may_answer.clear()

    def close(self):
        self.may_answer.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()
