"""`triovision serve`: predictions over HTTP."""

from __future__ import annotations

from typing import Any

import click

from triovision.extras import require


@click.command()
@click.option("--host", default="127.0.0.1", help="Address to listen on; 0.0.0.0 lets others in: docs/serve.md.")
@click.option("--port", default=8600, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--model", "model_id", help="Model of requests that name none; see `models`.")
@click.option(
    "--max-batch",
    type=click.IntRange(1, 512),
    help="Most photos in one forward pass.  [default: 16 on a GPU, at least 4 on a CPU]",
)
@click.option("--max-waiting", default=512, type=click.IntRange(2), help="Most photos that wait.")
@click.option("--max-files", default=64, type=click.IntRange(1, 1000), help="Most photos of one request.")
@click.option("--max-request-mb", default=200, type=click.IntRange(1), help="Largest request.")
@click.option("--max-pending-mb", default=500, type=click.IntRange(1), help="Most bytes of all requests together.")
@click.option("--max-photo-mb", default=30, type=click.IntRange(1), help="Largest file of a photo.")
@click.option("--max-megapixels", default=100, type=click.IntRange(1, 178), help="Largest photo.")
@click.option("--body-timeout", default=60.0, type=click.FloatRange(1), help="Seconds for a request to arrive.")
@click.option("--answer-timeout", default=120.0, type=click.FloatRange(1), help="Seconds for its answer after that.")
@click.option("--allow-urls", is_flag=True, help="Fetch photos from links, too, from public addresses only.")
@click.option("--proxies", default="", help="Addresses of proxies whose X-Forwarded-For names the client.")
def serve(host: str, port: int, model_id: str | None, proxies: str, **limits: Any) -> None:  # noqa: ANN401 - click's
    """Answer over HTTP. Stop it with Ctrl-C: it finishes what it has accepted.

    TRIOVISION_API_KEYS holds keys, or name:key, divided by commas; without them everybody who reaches the port may
    ask. The routes are described at /docs, and in docs/serve.md.

    \b
    Examples:
      triovision serve
      TRIOVISION_API_KEYS=page:$(openssl rand -hex 24) triovision serve --host 0.0.0.0 --max-batch 32
    """  # noqa: D301 - click reads the escape
    require("serve")
    from triovision.inference.registry import model_folder  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.photo import PhotoLimits  # noqa: PLC0415
    from triovision.serve import running  # noqa: PLC0415
    from triovision.serve.app import create_app  # noqa: PLC0415
    from triovision.serve.observation import log_json  # noqa: PLC0415
    from triovision.serve.settings import ServeSettings, api_keys_of_environment  # noqa: PLC0415

    settings = ServeSettings(
        model_id=None if model_id is None else model_folder(model_id).name,
        photo=PhotoLimits(
            max_bytes=limits["max_photo_mb"] * 1_000_000, max_pixels=limits["max_megapixels"] * 1_000_000
        ),
        max_files=limits["max_files"],
        max_request_bytes=limits["max_request_mb"] * 1_000_000,
        max_pending_bytes=limits["max_pending_mb"] * 1_000_000,
        body_s=limits["body_timeout"],
        answer_s=limits["answer_timeout"],
        max_waiting=limits["max_waiting"],
        max_batch=limits["max_batch"],
        allow_urls=limits["allow_urls"],
        api_keys=api_keys_of_environment(),
    )
    log_json()
    click.echo(f"http://{host}:{port}/docs", err=True)
    running.serve(create_app(settings), host, port, proxies)
