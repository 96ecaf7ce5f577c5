"""CTranslate2 behind the least FastAPI application: what one writes in an afternoon.

One `translate_batch` a request, two workers of one thread. FastAPI runs the route in its thread
pool, so that requests wait for a worker there.
"""

import argparse
import json
from pathlib import Path

import ctranslate2
import sentencepiece
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from deploy.bench.peers import MAX_TARGET_TOKENS, Files


class Request(BaseModel):
    """The fields of LibreTranslate that the load sends."""

    q: str
    source: str
    target: str


def create_app(files: Files, precision: str) -> FastAPI:
    """The application on the files of a model."""
    app = FastAPI()
    translator = ctranslate2.Translator(
        str(files.ctranslate2),
        device="cpu",
        compute_type=precision,
        inter_threads=2,
        intra_threads=1,
    )
    tokenizer = sentencepiece.SentencePieceProcessor(
        model_file=str(files.bundle / "tokenizer.model")
    )
    eos = json.loads((files.ctranslate2 / "config.json").read_text(encoding="utf-8"))["eos_token"]

    @app.post("/translate")
    def translate(request: Request) -> dict[str, str]:
        pieces = tokenizer.encode(f" {request.q}", out_type=str)
        [result] = translator.translate_batch(
            [[f"<2{request.target}>", *pieces, eos]],
            beam_size=1,
            min_decoding_length=0,
            max_decoding_length=MAX_TARGET_TOKENS,
        )
        return {"translatedText": tokenizer.decode(result.hypotheses[0]).removeprefix(" ")}

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--precision", default="int8")
    arguments = parser.parse_args()
    app = create_app(Files(folder=arguments.folder), arguments.precision)
    uvicorn.run(app, port=arguments.port, log_level="warning")


if __name__ == "__main__":
    _main()
