#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the Messages API that knows one play: scripted-api.py COMMAND

The first request that offers a Bash tool is answered with a call of it that runs COMMAND; once the
result is there, a sentence ends the turn. Listens on 127.0.0.1 and prints its port. What was asked
goes to stderr, a line for each.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMAND = sys.argv[1]
CALL = "toolu_demo_1"


def results(request):
    """The tool results in the conversation so far, as text."""
    found = []
    for message in request.get("messages", []):
        content = message.get("content")
        for block in content if isinstance(content, list) else []:
            if block.get("type") == "tool_result":
                found.append(json.dumps(block.get("content")))
    return found


def offers_bash(request):
    return any(t.get("name") == "Bash" for t in request.get("tools", []))


def blocks(request):
    """(content block, its delta, stop reason) of the answer."""
    if offers_bash(request) and not results(request):
        call = {"command": COMMAND, "description": "Write a file and commit it"}
        start = {"type": "tool_use", "id": CALL, "name": "Bash", "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(call)}
        return start, delta, "tool_use"
    said = "The file is written and committed." if results(request) else "Demo"
    return {"type": "text", "text": ""}, {"type": "text_delta", "text": said}, "end_turn"


def events(request):
    start, delta, stop = blocks(request)
    message = {
        "id": "msg_demo",
        "type": "message",
        "role": "assistant",
        "model": request.get("model", "demo"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    yield {"type": "message_start", "message": message}
    yield {"type": "content_block_start", "index": 0, "content_block": start}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": stop, "stop_sequence": None},
        "usage": {"output_tokens": 1},
    }
    yield {"type": "message_stop"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def nothing(self):
        self.answer(404, "application/json", b"{}")

    do_HEAD = do_GET = nothing

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        print(f"POST {self.path} {len(body)} bytes", file=sys.stderr, flush=True)
        request = json.loads(body)
        if not self.path.startswith("/v1/messages") or "count_tokens" in self.path:
            self.answer(200, "application/json", b'{"input_tokens": 1}')
            return
        for result in results(request):
            print(f"tool result: {result[:500]}", file=sys.stderr, flush=True)
        if not request.get("stream"):
            start, delta, stop = blocks({**request, "tools": []})
            message = next(events(request))["message"]
            message["content"] = [{**start, "text": delta.get("text", "")}]
            message["stop_reason"] = stop
            self.answer(200, "application/json", json.dumps(message).encode())
            return
        text = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events(request))
        self.answer(200, "text/event-stream", text.encode())


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
