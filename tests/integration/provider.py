# SPDX-License-Identifier: Apache-2.0
"""A provider of models on loopback that says one word, in the ways of OpenAI's chat completions and of
Gemini, and remembers what it was asked."""

import http.server
import json
import threading

ANSWER = "HELLO"


def events(path):
    """Server-sent events of one answer."""
    if "generateContent" in path or "GenerateContent" in path:
        yield {
            "candidates": [
                {
                    "content": {"role": "model", "parts": [{"text": ANSWER}]},
                    "finishReason": "STOP",
                    "index": 0,
                }
            ],
            "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
        }
        return
    base = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    delta = {"role": "assistant", "content": ANSWER}
    yield {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    yield {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        size = int(self.headers.get("content-length") or 0)
        asked = self.rfile.read(size).decode(errors="replace")
        self.server.asked.append(asked)
        body = "".join(f"data: {json.dumps(e)}\r\n\r\n" for e in events(self.path))
        if "/chat/" in self.path:
            body += "data: [DONE]\r\n\r\n"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


class Provider:
    """with Provider() as p: p.url, p.asked"""

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.asked = self.asked = []
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
