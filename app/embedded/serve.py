"""The API process: a listening socket of our own, and uvicorn with the flags that were measured (delivery.md
0.9).

The socket is ours for TCP_USER_TIMEOUT: a client that stopped reading is not freed by websocket pings, since
the ping waits in the same full buffer; the kernel gives such a connection up after SALESPAD_SOCKET_STUCK_S.
"""

import gc
import os
import socket
import sys

from app.embedded.processes import explain_refusal
from app.settings import read_settings

APP = "app.main:create_app"
BACKLOG = 2048


def listen(host: str, port: int, *, stuck_s: float) -> socket.socket:
    """Accepted connections inherit the options. Raises SystemExit with the reason when the address is not
    ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(stuck_s * 1000))
    try:
        listener.bind((host, port))
    except OSError as error:
        raise SystemExit(explain_refusal(error, port, host)) from None
    listener.listen(BACKLOG)
    listener.set_inheritable(True)
    return listener


def serve(host: str, port: int, *, app: str = APP) -> None:
    """Serve until SIGTERM or SIGINT. Port 0 takes a free one; the first line of output names it."""
    listener = listen(host, port, stuck_s=read_settings().socket_stuck_s)
    port = listener.getsockname()[1]
    os.environ["SALESPAD_HOST"], os.environ["SALESPAD_PORT"] = host, str(port)
    print(f"Listening on http://{host}:{port}", flush=True)
    gc.disable()  # half a second of a start is collections among what is being imported; the lifespan enables it
    import uvicorn

    from app.embedded.websockets import FrameWritingProtocol, StreamEndingProtocol

    config = uvicorn.Config(
        app,
        factory=True,
        host=host,
        port=port,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=StreamEndingProtocol,
        ws=FrameWritingProtocol,
        ws_per_message_deflate=False,
        ws_max_size=262_144,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=3,
        access_log=False,
        server_header=False,
        log_config=None,  # telemetry's: uvicorn's own prints what exceptions quote
        log_level="warning",
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    from app.embedded.config import read_config
    from app.embedded.tether import tether

    tether()
    environment = read_config()
    serve(environment.host, environment.port)
