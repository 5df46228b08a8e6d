"""`run` with the real servers and a stand-in for the product: the launcher's tests test the launcher."""

import os
import sys

from app.embedded.config import read_config
from app.embedded.launch import Launch, run
from app.embedded.postgres import Cluster

API = """
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
import os, signal
from app.embedded.tether import tether
tether()
signal.signal(signal.SIGTERM, signal.SIG_DFL)
class Ready(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *arguments): pass
TCPServer.allow_reuse_address = True  # and not HTTPServer, which asks the network for its own name
TCPServer((os.environ["SALESPAD_HOST"], int(os.environ["SALESPAD_PORT"])), Ready).serve_forever()
"""

WORKERS = {
    "works": "import time; from app.embedded.tether import tether; tether(); time.sleep(600)",
    "fails": "import sys; print('no such table'); sys.exit(3)",
    "ignores": "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
    "leaks": "import subprocess, time; subprocess.Popen(['sleep', '20']); time.sleep(600)",
}


class StandIn(Launch):
    async def migrate(self, cluster: Cluster | None, environment: dict[str, str]) -> None:
        return

    async def start_api(self, environment: dict[str, str]) -> None:
        await self.supervisor.start(self.product("api", [sys.executable, "-c", API], environment))

    async def start_helpers(self, environment: dict[str, str]) -> None:
        worker = WORKERS[os.environ.get("STAND_IN_WORKER", "works")]
        await self.supervisor.start(self.product("worker", [sys.executable, "-c", worker], environment))


if __name__ == "__main__":
    sys.exit(run(read_config(), StandIn))
