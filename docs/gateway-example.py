"""An example of a gateway (docs/gateway.md): one API key, one receiver, one stream at a time.

    python3 docs/gateway-example.py --key secret 192.168.1.5 5004 5005"""
import argparse, http.server, json, secrets, time

arguments = argparse.ArgumentParser()
arguments.add_argument("--key", required=True, help="the API key to grant")
arguments.add_argument("--port", type=int, default=8080, help="TCP port to listen on; 0: any")
arguments.add_argument("host", help="the receiver's address or name")
arguments.add_argument("ports", type=int, nargs=2, help="its UDP ports for RTP and RTCP")
options = arguments.parse_args()

LEASE = 4 * 60  # seconds: three periods without validation, and one for a request on its way
ids, active = [], {"id": None, "until": 0.0}  # all ids given out; the stream that is granted

def need(good, code, text):
    if not good:
        raise ValueError(code, text)

def answer(request):
    action, key, id = (request.get(name) for name in ("action", "key", "utilization_id"))
    need(action, 4001, "no action argument")
    if action in ("new_utilization_id", "start_stream"):
        need(key is not None, 4002, "no key argument")
        need(key == options.key, 4011, "API key not valid")
    if action == "new_utilization_id":
        ids.append(secrets.token_hex(16))
        return {"utilization_id": ids[-1]}
    need(action in ("start_stream", "validate_stream", "stop_stream"), 5011, "unknown action")
    need(id is not None, 4003, "no utilization_id argument")
    need(id in ids, 4012, "utilization identifier not valid")
    running = active["id"] if time.monotonic() < active["until"] else None
    if action == "start_stream":
        need(request.get("width") and request.get("height"), 4004, "missing width or height")
        need(running is None, 4091, "stream already active")
        active.update(id=id, until=time.monotonic() + LEASE)
        return {"url": options.host, "rtp_port": options.ports[0], "rtcp_port": options.ports[1]}
    need(id == running, 4092, "stream not running")
    if action == "stop_stream":
        active["until"] = 0.0
        return {"ok": "stream stopped successfully"}
    active["until"] = time.monotonic() + LEASE
    return {"validation_code": 0, "validation_txt": "stream captured"}

class Gateway(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        try:
            length = int(self.headers["Content-Length"])
            status, reply = 200, answer(json.loads(self.rfile.read(length)))
        except (ValueError, TypeError, AttributeError) as error:  # some of them: no JSON object
            code, text = error.args if len(error.args) == 2 else (4001, "no JSON object")
            status, reply = code // 10, {"error_code": code, "error_txt": text}
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())

with http.server.HTTPServer(("", options.port), Gateway) as server:
    print(f"gateway on http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
