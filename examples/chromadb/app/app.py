"""Stores three sentences in the Chroma server that $CHROMA_HOST names and asks for the one nearest to a question."""

import json
import os
import time
import urllib.request

SERVER = f"http://{os.environ['CHROMA_HOST']}:8000"
COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"
SENTENCES = {"a cat sleeps": [1.0, 0.0, 0.0], "a dog barks": [0.7, 0.7, 0.0], "a ship sails": [0.0, 0.0, 1.0]}


def ask(path: str, body: object = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(SERVER + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def await_server() -> None:
    for _ in range(240):
        try:
            ask("/api/v2/heartbeat")
            return
        except OSError:
            time.sleep(0.25)
    raise SystemExit(f"{SERVER} does not answer")


await_server()
collection = ask(COLLECTIONS, {"name": "sentences", "get_or_create": True})["id"]
texts = list(SENTENCES)
ask(f"{COLLECTIONS}/{collection}/upsert", {"ids": texts, "documents": texts, "embeddings": list(SENTENCES.values())})
question = {"query_embeddings": [[0.9, 0.1, 0.0]], "n_results": 1, "include": ["documents"]}
print("nearest:", ask(f"{COLLECTIONS}/{collection}/query", question)["documents"][0][0])
