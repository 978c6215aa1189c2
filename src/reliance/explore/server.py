"""`reliance serve`: the atlas of a variant, and questions to its models, for a browser on this machine.

Everything lies below a random word in the address, which the command prints: who does not know it gets
nothing. Requests with another host name than that of the server are refused, so that no page from elsewhere
can ask.
Nothing is written: an image that is handed over lies in a temporary file while it is decoded.
"""

import json
import secrets
import threading
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from reliance import __version__
from reliance.base.artifacts import check_same, read_json
from reliance.base.errors import RelianceError
from reliance.base.stamps import read_stamp
from reliance.explore.atlas.build import HERE, KIND, SCHEMA, STATIC, rendered
from reliance.explore.served import Desk, webp
from reliance.explore.study import Study

EVERY = ("0.0.0.0", "::")  # hosts that stand for all names of the machine
LOCAL = ("127.0.0.1", "localhost", "[::1]")
MOST_BYTES = 64 << 20  # of an image that is handed over
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def serve(
    study: Study, host: str, port: int, say: Callable[[str], None], warn: Callable[[str], None]
) -> None:
    """Answer until it is stopped: `say` gets the address, `warn` what goes wrong meanwhile.

    Raises RelianceError if there is no atlas, or the port is taken.
    """
    import socket

    import uvicorn

    token = secrets.token_urlsafe(18)
    shown = f"[{host}]" if ":" in host else host
    desk = Desk(study)
    app = application(desk, token, hosts=() if host in EVERY else (shown.lower(), *LOCAL))
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # whoever reads the address may come at once
    except socket.gaierror as error:
        listening.close()
        raise RelianceError(
            f"--host {host}",
            "a name or address of this machine",
            found=error.strerror or str(error),
            allowed="127.0.0.1, another address of this machine, or 0.0.0.0 for all of them",
            next_step="leave --host out",
        ) from error
    except OSError as error:
        listening.close()
        raise RelianceError(
            f"--port {port}",
            "a port that is free on this machine",
            found=error.strerror or str(error),
            allowed="another number, or 0 for any",
            next_step="say --port 0",
        ) from error
    say(f"{study.variant} at http://{shown}:{listening.getsockname()[1]}/{token}/ (stop with Ctrl-C)")
    threading.Thread(target=_warm, args=(desk, warn), daemon=True).start()
    uvicorn.Server(uvicorn.Config(app, log_level="warning", server_header=False)).run(sockets=[listening])


def _warm(desk: Desk, warn: Callable[[str], None]) -> None:
    """Load the models while somebody looks at the atlas."""
    try:
        desk.warm()
    except RelianceError as error:
        warn(f"what is looked up can be asked, a model not: {error}")


def application(desk: Desk, token: str, hosts: tuple[str, ...] = LOCAL) -> Starlette:
    """The server of a study, for requests to one of `hosts`, or to any if none is named.

    Raises RelianceError if there is no atlas, or it is of other results.
    """
    study = desk.study
    folder = study.path("atlas").parent
    _, made = read_json(folder / "atlas.json", KIND, SCHEMA)
    own = study.path("components")
    check_same("components", (folder / "atlas.json", made.inputs["components"]), (own, read_stamp(own).id))
    page = rendered(study.variant, live=__version__)

    async def index(request: Request) -> Response:
        return HTMLResponse(page)

    def packaged(name: str, kind: str) -> Route:
        content = (HERE / name).read_bytes()

        async def give(request: Request) -> Response:
            return Response(content, media_type=kind)

        return Route(f"/{name}", give)

    async def explain(request: Request) -> Response:
        q = request.query_params
        asked = q.get("image", ""), q.getlist("prompt"), _numbers(q.get("off", ""))
        return JSONResponse(await run_in_threadpool(desk.explain, *asked))

    async def find(request: Request) -> Response:
        q = request.query_params
        return JSONResponse(await run_in_threadpool(desk.find, q.get("text", ""), q.get("split", "test")))

    async def take(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(desk.take, await _body(request)))

    async def where(request: Request) -> Response:
        q = request.query_params
        prompts: list[str | int] = [*q.getlist("prompt"), *_numbers(q.get("class", ""))]
        units = _numbers(q.get("unit", ""))
        return JSONResponse(await run_in_threadpool(desk.where, q.get("image", ""), prompts, units))

    async def picture(request: Request) -> Response:
        found = await run_in_threadpool(desk.picture, request.query_params.get("image", ""))
        return Response(await run_in_threadpool(webp, found), media_type="image/webp")

    static = [
        packaged(name, kind) for name, kind in zip(STATIC, ("text/javascript", "text/css"), strict=True)
    ]
    api = [
        Route("/api/explain", explain),
        Route("/api/find", find),
        Route("/api/where", where),
        Route("/api/image", picture),
        Route("/api/image", take, methods=["POST"]),
    ]
    files = [Mount(f"/{name}", StaticFiles(directory=folder / name)) for name in ("data", "sheets")]
    return Starlette(
        routes=[Mount(f"/{token}", routes=[Route("/", index), *static, *api, *files])],
        middleware=[Middleware(Guard, token=token, hosts=hosts)],
        exception_handlers={RelianceError: _told},
    )


class Guard:
    """Lets through who knows the token and asks this host, and puts the headers on every answer."""

    def __init__(self, app: ASGIApp, token: str, hosts: tuple[str, ...]) -> None:
        self.app, self.token, self.hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        await (self._refusal(Request(scope)) or self.app)(scope, receive, sending)

    def _refusal(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if self.hosts and name.lower() not in self.hosts:
            return Response("another host\n", 403)
        first, slash, _ = request.url.path.removeprefix("/").partition("/")
        if not secrets.compare_digest(first.encode(), self.token.encode()):
            return Response("the address that `reliance serve` printed is needed\n", 403)
        return None if slash else RedirectResponse(f"/{self.token}/")


async def _body(request: Request) -> bytes:
    """The bytes of an image. Raises RelianceError if there are too many, before they are all read."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            break
        parts.append(part)
    if not 0 < size <= MOST_BYTES:
        raise RelianceError(
            "image",
            "an image that is handed over is a file of some bytes",
            found="nothing" if not size else f"more than {MOST_BYTES} bytes",
            allowed=f"1 to {MOST_BYTES} bytes",
            next_step="make it smaller; the model looks at a few hundred pixels",
        )
    return b"".join(parts)


def _numbers(text: str) -> list[int]:
    """Units in the address of a question, with commas between them; what is no number is left out."""
    return [int(part) for part in text.split(",") if part.isascii() and part.isdigit() and len(part) < 10]


async def _told(request: Request, error: Exception) -> Response:
    """An error that the user can cause, in its five parts."""
    parts = {name: str(getattr(error, name)) for name in ("where", "rule", "found", "allowed", "next_step")}
    return Response(json.dumps({"error": parts}), 400, media_type="application/json")
