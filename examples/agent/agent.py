"""An agent's runtime: POST /run {"code"} runs Python in a sandbox; POST /task {"goal"} lets the model write it, and mend it twice."""

import json
import os
import re
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import docker

from sandbox import run_code

MODEL, IMAGE = os.environ["MODEL_URL"], os.environ["SANDBOX_IMAGE"]
LARGEST_BODY = 1 << 20
TRIES = 3
EXAMPLE = [
    {"role": "system", "content": "You write short Python programs that print their result. Answer with code only."},
    {"role": "user", "content": "Print the sum of 1, 2 and 3."},
    {"role": "assistant", "content": "```python\nprint(1 + 2 + 3)\n```"},
]
CLIENT = docker.from_env()


def write_code(messages: list[dict[str, str]]) -> str:
    body = json.dumps({"messages": messages, "max_tokens": 200}).encode()
    request = urllib.request.Request(f"{MODEL}/v1/chat/completions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        text = json.load(answer)["choices"][0]["message"]["content"]
    fenced = re.search(r"```(?:python)?\n(.*?)(?:```|$)", text, re.DOTALL)
    return (fenced[1] if fenced else text).strip()


def solve(goal: str) -> dict[str, object]:
    messages = [*EXAMPLE, {"role": "user", "content": goal}]
    tried: list[dict[str, object]] = []
    for _ in range(TRIES):
        code = write_code(messages)
        outcome = run_code(CLIENT, IMAGE, code)
        tried.append({"code": code, **outcome.as_json()})
        if outcome.status == 0 and outcome.output.strip():
            break
        messages += [{"role": "assistant", "content": code}, {"role": "user", "content": f"It failed: {outcome.output[-300:]} Mend it."}]
    return {"goal": goal, "solved": tried[-1]["status"] == 0, "tries": tried}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.reply(200, {"status": "ready"}) if self.path == "/health" else self.reply(404, {"error": f"no such path: {self.path}"})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_BODY:
            self.reply(413, {"error": f"{length} bytes are more than {LARGEST_BODY}"})
            return
        try:
            body = json.loads(self.rfile.read(length))
            if self.path == "/run":
                self.reply(200, run_code(CLIENT, IMAGE, str(body["code"]), float(body.get("seconds", 10))).as_json())
            elif self.path == "/task":
                self.reply(200, solve(str(body["goal"])))
            else:
                self.reply(404, {"error": f"no such path: {self.path}"})
        except (ValueError, KeyError, TypeError) as error:
            self.reply(400, {"error": f"the body does not fit: {error!r}"})
        except (OSError, docker.errors.DockerException) as error:
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
    print("listening on :8080")
    ThreadingHTTPServer(("", 8080), Handler).serve_forever()
