"""The service in a process of its own that starts quickly, to be killed often."""

from functools import partial
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from typing import Any

import uvicorn

from app.main import create_app
from app.serving import BoundedHttp, Bounds
from app.settings import Settings

_forkserver = get_context("forkserver")
_forkserver.set_forkserver_preload([__name__])


def start(database_url: str, port: int) -> BaseProcess:
    """Serve on this port of the loopback interface; the imports are done once, for all that are started."""
    process = _forkserver.Process(target=_serve, args=(database_url, port))
    process.start()
    return process


def _serve(database_url: str, port: int) -> None:
    settings = Settings.model_validate(
        {
            "database_url": database_url,
            "secret_key": "a secret for tests, long enough to sign with",
            "bcrypt_rounds": 4,
            "log_level": "ERROR",
        }
    )
    http: Any = partial(BoundedHttp, Bounds(settings.max_header_bytes, settings.client_timeout))
    config = uvicorn.Config(create_app(settings), port=port, http=http, log_config=None, access_log=False)
    uvicorn.Server(config).run()
