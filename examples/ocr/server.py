"""An inference server: POST a picture, get the text in it. Weights come with the package, so nothing is downloaded at start."""

import io
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy
from PIL import Image
from rapidocr_onnxruntime import RapidOCR

MODEL: Any = RapidOCR()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer({"status": "ready"})

    def do_POST(self) -> None:
        picture = self.rfile.read(int(self.headers["Content-Length"]))
        began = time.perf_counter()
        found, _ = MODEL(numpy.array(Image.open(io.BytesIO(picture)).convert("RGB")))
        lines = [{"text": text, "score": round(float(score), 3)} for _, text, score in found or []]
        self.answer({"lines": lines, "seconds": round(time.perf_counter() - began, 3)})

    def answer(self, value: object) -> None:
        body = json.dumps(value).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        print(f"{self.command} {self.path} {args[1] if len(args) > 1 else ''}", flush=True)


if __name__ == "__main__":
    print("model loaded, listening on :8000", flush=True)
    ThreadingHTTPServer(("", 8000), Handler).serve_forever()
