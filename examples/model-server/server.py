"""Serves a GGUF model by the calls that OpenAI's clients use: GET /health, GET /v1/models, POST /v1/chat/completions (also streamed)."""

import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from llama_cpp_py_sync import Llama

PATH = os.environ.get("MODEL", "/models/smollm2-135m.gguf")
NAME = os.path.basename(PATH).removesuffix(".gguf")
CONTEXT = int(os.environ.get("CONTEXT", "2048"))
LARGEST_BODY = 1 << 20


class Chat(Llama):
    """The template's marks (<|im_start|>) are tokens of their own, which the library reads as text unless told."""

    def tokenize(self, text: str, add_special: bool = True, parse_special: bool = True) -> list[int]:
        tokens: list[int] = super().tokenize(text, add_special, True)
        return tokens


class Model:
    """One request at a time: the model keeps one conversation's state."""

    def __init__(self) -> None:
        self._model: Any = Chat(PATH, n_ctx=CONTEXT, n_gpu_layers=0)
        self._lock = threading.Lock()

    def pieces(self, messages: list[dict[str, str]], most: int, temperature: float) -> Iterator[str]:
        with self._lock:
            for chunk in self._model.create_chat_completion(
                messages, max_tokens=most, temperature=temperature, stop_sequences=["<|im_end|>"], stream=True
            ):
                yield chunk["choices"][0]["delta"].get("content", "")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: Model

    def do_GET(self) -> None:
        if self.path == "/health":
            self.answer(200, {"status": "ready"})
        elif self.path == "/v1/models":
            self.answer(200, {"object": "list", "data": [{"id": NAME, "object": "model", "owned_by": "local"}]})
        else:
            self.answer(404, {"error": {"message": f"no such path: {self.path}"}})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if self.path != "/v1/chat/completions" or length > LARGEST_BODY:
            self.answer(404 if length <= LARGEST_BODY else 413, {"error": {"message": f"cannot take {length} bytes at {self.path}"}})
            return
        try:
            body = json.loads(self.rfile.read(length))
            messages = [{"role": str(m["role"]), "content": str(m["content"])} for m in body["messages"]]
            pieces = self.model.pieces(messages, int(body.get("max_tokens") or 256), float(body.get("temperature") or 0.0))
        except (ValueError, KeyError, TypeError) as error:
            self.answer(400, {"error": {"message": f"the body is no chat request: {error!r}"}})
            return
        if body.get("stream"):
            self.stream(pieces)
        else:
            message = {"role": "assistant", "content": "".join(pieces).strip()}
            self.answer(200, completion("chat.completion", {"message": message, "finish_reason": "stop"}))

    def stream(self, pieces: Iterator[str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for piece in pieces:
            self.event(json.dumps(completion("chat.completion.chunk", {"delta": {"content": piece}, "finish_reason": None})))
        self.event("[DONE]")
        self.close_connection = True

    def event(self, text: str) -> None:
        self.wfile.write(f"data: {text}\n\n".encode())

    def answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        if self.path != "/health":
            print(self.command, self.path, args[1] if len(args) > 1 else "")


def completion(kind: str, choice: dict[str, object]) -> dict[str, object]:
    return {"object": kind, "created": int(time.time()), "model": NAME, "choices": [{"index": 0, **choice}]}


if __name__ == "__main__":
    Handler.model = Model()
    print(f"{NAME} is loaded, listening on :8000")
    ThreadingHTTPServer(("", 8000), Handler).serve_forever()
