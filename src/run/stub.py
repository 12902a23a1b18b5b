import http.server, json, sys, threading

class Stub(http.server.BaseHTTPRequestHandler):
    """Prints every request in plain ASCII (\u02bc is U+02BC), and refuses it."""
    protocol_version = "HTTP/1.1"

    def answer(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.dumps(json.loads(body), indent=1)
        except ValueError:
            body = ascii(body.decode("utf-8", "replace"))
        head = [self.requestline] + [f"{name}: {value}" for name, value in self.headers.items()]
        print(*map(ascii, head), body, "", sep="\n", flush=True)
        said = b'{"type":"error","error":{"type":"invalid_request_error","message":"stub"}}'
        self.send_response(400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_CONNECT = answer

    def log_message(self, *_):
        pass

for port in sys.argv[1:]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Stub)
    threading.Thread(target=server.serve_forever).start()
