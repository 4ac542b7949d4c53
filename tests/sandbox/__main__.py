"""``python -m tests.sandbox``: prints two lines and serves until SIGTERM.

sandbox http://127.0.0.1:PORT
settings {"NARROWS_PROVIDERS__…": "…"}     as JSON: by which a deployment asks the sandbox
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from pathlib import Path

from tests.sandbox.sandbox import TOKEN, Sandbox
from tests.sandbox.settings import settings
from tests.sandbox.soda import load_recorded


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="listen there; a container names itself")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--data", type=Path, help="serve the rows recorded in this folder of contracts")
    parser.add_argument("--token", action="append", help=f"an app token that is known (default: {TOKEN})")
    parser.add_argument("--seed", type=int, default=0, help="of generated rows, shuffles and error rates")
    given = parser.parse_args()
    rows = load_recorded(given.data) if given.data else None
    tokens = given.token or (TOKEN,)
    sandbox = Sandbox(rows, host=given.host, port=given.port, tokens=tokens, seed=given.seed)
    asyncio.run(_serve(sandbox, tokens[0]))


async def _serve(sandbox: Sandbox, token: str) -> None:
    loop, stopping, ready = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    serving = asyncio.create_task(sandbox.serve(stopping, ready=ready))
    await asyncio.wait([serving, asyncio.create_task(ready.wait())], return_when=asyncio.FIRST_COMPLETED)
    if ready.is_set():
        print(f"sandbox {sandbox.url}")  # noqa: T201 - these lines are the contract
        print(f"settings {json.dumps(settings(sandbox.url, token))}", flush=True)  # noqa: T201
    await serving


if __name__ == "__main__":
    main()
