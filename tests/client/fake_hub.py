"""A hub of paper for the command line's tests: answers what a test tells it to, and remembers what it was asked."""
import http.server
import json
import ssl
import threading
import urllib.parse

TOKEN = "test-token-0123456789"


class Request:
    def __init__(self, handler, body):
        url = urllib.parse.urlsplit(handler.path)
        self.method, self.raw = handler.command, handler.path
        self.path = url.path
        self.query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True, errors="surrogateescape"))
        self.headers = handler.headers
        self.body = body


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        length = int(self.headers.get("Content-Length", 0))
        self.request_seen = Request(self, self.rfile.read(length))
        self.server.hub.asked.append(self.request_seen)
        if self.headers.get("Authorization") != "Bearer " + TOKEN and not self.path.endswith("/healthz"):
            return self.json(401, {"error": "give a token", "code": "UNAUTHORIZED", "details": {}})
        made = self.server.hub.routes.get((self.command, self.request_seen.path))
        if made is None:
            return self.json(404, {"error": "no such thing", "code": "NOT_FOUND", "details": {}})
        if callable(made):
            return made(self)
        return self.json(*made)

    do_GET = do_POST = do_DELETE = do_HEAD = answer

    def json(self, status, value):
        self.bytes(status, json.dumps(value, ensure_ascii=False).encode(), {"Content-Type": "application/json"})

    def bytes(self, status, data, headers=None, length=None):
        """length: what Content-Length claims; other than len(data), the connection breaks afterwards."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)
        if length is not None and length != len(data):
            self.close_connection = True

    def chunked(self, status, parts, headers=None, complete=True):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in parts:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        if complete:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # clients that go away belong to the tests


class Hub:
    def __init__(self, cert=None, key=None):
        self.routes, self.asked = {}, []
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.hub = self
        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = "%s://127.0.0.1:%d" % ("https" if cert else "http", self.server.server_port)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def on(self, method, path, answer):
        """answer: (status, JSON value), or a function of the handler."""
        self.routes[method, "/api/v1" + path] = answer
