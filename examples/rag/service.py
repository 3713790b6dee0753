"""Answers questions from documents: POST /documents {"id", "text"} stores one, POST /ask {"question"} answers and names its sources."""

import json
import os
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from embedding import Embedder

MODEL = os.environ["MODEL_URL"]
COLLECTIONS = os.environ["CHROMA_URL"] + "/api/v2/tenants/default_tenant/databases/default_database/collections"
LARGEST_BODY = 1 << 20
NEAREST = 1


def ask(url: str, body: object) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


class Library:
    """The documents, as texts and vectors in Chroma."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._url = f"{COLLECTIONS}/{ask(COLLECTIONS, {'name': 'documents', 'get_or_create': True})['id']}"

    def add(self, name: str, text: str) -> None:
        ask(f"{self._url}/upsert", {"ids": [name], "documents": [text], "embeddings": [self._embedder.embed(text)]})

    def nearest(self, question: str) -> dict[str, str]:
        query = {"query_embeddings": [self._embedder.embed(question)], "n_results": NEAREST, "include": ["documents"]}
        found = ask(f"{self._url}/query", query)
        return dict(zip(found["ids"][0], found["documents"][0], strict=True))


def answer(library: Library, question: str) -> dict[str, object]:
    sources = library.nearest(question)
    prompt = "Answer the question from these notes in one short sentence.\n" + "\n".join(sources.values()) + f"\nQuestion: {question}"
    said = ask(f"{MODEL}/v1/chat/completions", {"messages": [{"role": "user", "content": prompt}], "max_tokens": 64})
    return {"answer": said["choices"][0]["message"]["content"], "sources": list(sources)}


class Handler(BaseHTTPRequestHandler):
    library: Library

    def do_GET(self) -> None:
        self.reply(200, {"status": "ready"}) if self.path == "/health" else self.reply(404, {"error": f"no such path: {self.path}"})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_BODY:
            self.reply(413, {"error": f"{length} bytes are more than {LARGEST_BODY}"})
            return
        try:
            body = json.loads(self.rfile.read(length))
            if self.path == "/documents":
                self.library.add(str(body["id"]), str(body["text"]))
                self.reply(201, {"stored": body["id"]})
            elif self.path == "/ask":
                self.reply(200, answer(self.library, str(body["question"])))
            else:
                self.reply(404, {"error": f"no such path: {self.path}"})
        except (ValueError, KeyError, TypeError) as error:
            self.reply(400, {"error": f"the body does not fit: {error!r}"})
        except OSError as error:
            self.reply(502, {"error": f"a service behind this one failed: {error}"})

    def reply(self, status: int, value: object) -> None:
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        if self.path != "/health":
            print(self.command, self.path, args[1] if len(args) > 1 else "")


if __name__ == "__main__":
    Handler.library = Library(Embedder())
    print("listening on :8080")
    ThreadingHTTPServer(("", 8080), Handler).serve_forever()
