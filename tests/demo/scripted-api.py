#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for two APIs that know one play: scripted-api.py PLAY.json

Messages (claude) and Responses (codex). The play has a scene for each stage, {"stage": {"command",
"says"}}. A prompt names its stage as "[stage NAME]"; the first request that offers a shell is
answered with a call that runs the scene's command; once its result is there, what the scene says
ends the turn, with the result behind it. Listens on 127.0.0.1 and prints its port. What was asked
goes to stderr, a line for each, with what it was asked with. Who does not bring the token of the
variable DEMO_TOKEN (Messages) or an access token of tests/integration/tokens.py (Responses) is refused.
"""

import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MARK = re.compile(r"\[stage ([a-z-]+)\]")
QUOTED_MAX = 600
TOKENS = {"messages": re.escape(os.environ["DEMO_TOKEN"]), "responses": r"\S+\.(access-[0-9]+)-end"}

with open(sys.argv[1], encoding="utf-8") as f:
    PLAY = json.load(f)


def scene(request):
    found = MARK.search(json.dumps(request))
    return PLAY.get(found.group(1)) if found else None


def text_of(content):
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or [] if isinstance(part, dict))


def ending(request, results):
    played = scene(request)
    if not played or not results:
        return "Demo"
    return played["says"] + "\n" + "\n".join(results)[:QUOTED_MAX]


# ---- Messages ----


def tool_results(request):
    """The tool results in the conversation so far, as text."""
    found = []
    for message in request.get("messages", []):
        content = message.get("content")
        for block in content if isinstance(content, list) else []:
            if block.get("type") == "tool_result":
                found.append(text_of(block.get("content")))
    return found


def message_block(request):
    """(content block, its delta, stop reason) of the answer."""
    played = scene(request)
    offered = any(t.get("name") == "Bash" for t in request.get("tools", []))
    if played and offered and not tool_results(request):
        call = {"command": played["command"], "description": "One scene of the play"}
        start = {"type": "tool_use", "id": "toolu_demo_1", "name": "Bash", "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(call)}
        return start, delta, "tool_use"
    said = ending(request, tool_results(request))
    return {"type": "text", "text": ""}, {"type": "text_delta", "text": said}, "end_turn"


def message_events(request):
    start, delta, stop = message_block(request)
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


def whole_message(request):
    start, delta, stop = message_block({**request, "tools": []})
    message = next(message_events(request))["message"]
    return {
        **message,
        "content": [{**start, "text": delta.get("text", "")}],
        "stop_reason": stop,
    }


# ---- Responses ----


def call_outputs(request):
    found = []
    for item in request.get("input", []):
        if isinstance(item, dict) and item.get("type") == "function_call_output":
            output = item.get("output")
            found.append(output if isinstance(output, str) else text_of(output))
    return found


def response_item(request):
    played = scene(request)
    if played and not call_outputs(request):
        return {
            "type": "function_call",
            "id": "fc_demo",
            "call_id": "call_demo_1",
            "name": "exec_command",
            "arguments": json.dumps({"cmd": played["command"]}),
        }
    said = ending(request, call_outputs(request))
    return {
        "type": "message",
        "id": "msg_demo",
        "role": "assistant",
        "content": [{"type": "output_text", "text": said, "annotations": []}],
    }


def response_events(request):
    item = response_item(request)
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    yield {"type": "response.created", "response": {"id": "resp_demo"}}
    yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield {"type": "response.completed", "response": {"id": "resp_demo", "usage": usage}}


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

    def answer_json(self, value, status=200):
        self.answer(status, "application/json", json.dumps(value).encode())

    def answer_events(self, events):
        text = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)
        self.answer(200, "text/event-stream", text.encode())

    def nothing(self):
        self.answer_json({}, 404)

    do_HEAD = do_GET = nothing

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        wanted = TOKENS["responses" if path.endswith("/responses") else "messages"]
        token = re.fullmatch("Bearer " + wanted, self.headers.get("Authorization") or "")
        used = " ".join(("with", *token.groups())) if token else "refused"
        if b"planted-refresh" in self.headers.as_bytes() + body:
            used = "with a refresh token"
        print(f"POST {self.path} {len(body)} bytes, {used}", file=sys.stderr, flush=True)
        if not path.startswith("/v1/"):
            self.nothing()
            return
        if not token:
            self.answer_json({"error": {"type": "authentication_error", "message": "no"}}, 401)
            return
        request = json.loads(body)
        for result in tool_results(request) + call_outputs(request):
            print(f"tool result: {result[:QUOTED_MAX]!r}", file=sys.stderr, flush=True)
        if path.endswith("/responses"):
            self.answer_events(response_events(request))
        elif path.endswith("/messages") and request.get("stream"):
            self.answer_events(message_events(request))
        elif path.endswith("/messages"):
            self.answer_json(whole_message(request))
        else:
            self.answer_json({"input_tokens": 1})


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
