# SPDX-License-Identifier: Apache-2.0
"""An agent-secrets daemon as its protocol is published: JSON-RPC 2.0, a request and an answer per line, on a
Unix socket of mode 0600. The real one was not run; this one can also misbehave."""

import datetime
import json
import os
import socket
import threading

DURATIONS = {"h": 3600, "m": 60, "s": 1}
NOT_FOUND, NO_LEASE, BAD_PARAMS, NO_METHOD = -32000, -32001, -32602, -32601


class Failure(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class AgentSecrets:
    """with AgentSecrets(path, {"name": "value"}) as a: a.leases, a.asked, a.answer = lambda request: bytes"""

    def __init__(self, path, secrets):
        self.path = path
        self.secrets = dict(secrets)
        self.leases = {}  # id -> {secret_name, client_id, ttl}: those that were not revoked
        self.asked = []  # methods in their order
        self.answer = None  # what is sent instead of an answer: bytes, b"" hangs up; None hangs
        self.made = 0
        self.connections = set()
        self.lock = threading.Lock()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)  # the daemon under test may be another user's
        self.listener.listen(128)
        self.thread = threading.Thread(target=self.accept, args=(self.listener,), daemon=True)
        self.thread.start()

    def stop(self):
        """As a daemon that ends: its connections are gone, its leases are not."""
        if not self.listener:
            return
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        self.listener = None
        with self.lock:
            for connection in self.connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with connection, connection.makefile("rwb") as f:
                for line in f:
                    request = json.loads(line)
                    with self.lock:
                        self.asked.append(request["method"])
                    answer = self.answer(request) if self.answer else self.reply(request)
                    if answer == b"":
                        return
                    if answer is not None:
                        f.write(answer)
                        f.flush()
        except OSError:
            pass
        finally:
            with self.lock:
                self.connections.discard(connection)

    def reply(self, request):
        answer = {"jsonrpc": "2.0"}
        try:
            with self.lock:
                method = {
                    "secrets.lease": self.lease,
                    "secrets.revoke": self.revoke,
                    "secrets.revokeAll": self.revoke_all,
                    "secrets.health": self.health,
                }.get(request["method"])
                if not method:
                    raise Failure(NO_METHOD, "method not found")
                answer["result"] = method(**request.get("params", {}))
        except Failure as e:
            answer["error"] = {"code": e.code, "message": str(e)}
        except TypeError as e:
            answer["error"] = {"code": BAD_PARAMS, "message": f"invalid parameters: {e}"}
        answer["id"] = request["id"]
        return json.dumps(answer).encode() + b"\n"

    def lease(self, secret_name, client_id, ttl, namespace="default"):
        if secret_name not in self.secrets or namespace != "default":
            raise Failure(NOT_FOUND, f'secret "{secret_name}": secret not found')
        if not client_id or not ttl[:-1].isdigit() or ttl[-1] not in DURATIONS:
            raise Failure(BAD_PARAMS, "invalid ttl duration")
        self.made += 1
        lease_id = f"3f2c9d04-{self.made:04}"
        self.leases[lease_id] = {"secret_name": secret_name, "client_id": client_id, "ttl": ttl}
        zone = datetime.timezone(datetime.timedelta(hours=-8))
        expires = datetime.datetime.now(zone) + datetime.timedelta(seconds=int(ttl[:-1]) * DURATIONS[ttl[-1]])
        text = expires.isoformat(timespec="microseconds")
        return {
            "lease_id": lease_id,
            "value": self.secrets[secret_name],
            "expires_at": f"{text[:-6]}123{text[-6:]}",  # nanoseconds, as Go writes them
        }

    def revoke(self, lease_id):
        if lease_id not in self.leases:
            raise Failure(NO_LEASE, "lease not found")
        del self.leases[lease_id]
        return {"success": True, "message": f'lease "{lease_id}" revoked successfully'}

    def revoke_all(self):
        count = len(self.leases)
        self.leases.clear()
        return {"success": True, "leases_revoked": count, "message": f"all {count} active leases revoked"}

    def health(self):
        return {
            "total_secrets": len(self.secrets),
            "active_leases": len(self.leases),
            "expiring_soon": 0,
            "never_rotated": len(self.secrets),
            "stale_secrets": 0,
            "warnings": None,
        }
