"""The carrier's web service, played by a thread of this process: it takes its time."""

import functools
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAUSE_S = 0.15


class _Carrier(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        time.sleep(PAUSE_S)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"12")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@functools.cache
def carrier_url() -> str:
    """Start the carrier at the first call and give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Carrier)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="carrier", daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"
