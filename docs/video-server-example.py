"""An example of a video server (docs/video-server.md): it counts packets and shows nothing.

    python3 docs/video-server-example.py --name v1 --token TOKEN --gateway https://GATEWAY/video-servers 192.0.2.7"""
import argparse, hmac, http.server, json, re, select, socket, threading, time, urllib.request

arguments = argparse.ArgumentParser()
arguments.add_argument("--name", required=True, help="what the gateway's operator calls this server")
arguments.add_argument("--token", required=True, help="what the operator gave for that name")
arguments.add_argument("--gateway", required=True, help="URL to which heartbeats are posted")
arguments.add_argument("--port", type=int, default=8090, help="TCP port for the gateway's calls; 0: any")
arguments.add_argument("--capacity", type=int, default=10, help="streams at a time")
arguments.add_argument("host", help="this machine's address, for sources and for the gateway")
options = arguments.parse_args()
streams = {}  # by id: sockets for RTP and RTCP, times of the last packet and of the last call, the lease

def begin(id, call):
    if len(streams) >= options.capacity or "srtp_profile" in call:  # it cannot decrypt
        return 503, {"error": "full"}
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in ("RTP", "RTCP")]
    for one in sockets:
        one.bind((options.host, 0))
    streams[id] = {"sockets": sockets, "heard": -9.0, "asked": time.monotonic(), "lease": call.get("lease_s") or 300}
    return 200, {"host": options.host, "rtp_port": sockets[0].getsockname()[1], "rtcp_port": sockets[1].getsockname()[1]}

def captured(id, call):
    streams[id]["asked"] = time.monotonic()
    silent = time.monotonic() - streams[id]["heard"] > 2
    return 200, {"code": int(silent), "words": "nothing comes" if silent else "packets come"}

def end(id, call):
    for one in streams.pop(id)["sockets"]:
        one.close()
    return 200, {}

class Calls(http.server.BaseHTTPRequestHandler):
    timeout = 5
    def do_POST(self):
        path, status, reply = re.fullmatch(r"/streams(?:/(\w+)/(captured|end))?", self.path), 404, {"error": "unknown"}
        call = json.loads(self.rfile.read(min(int(self.headers["Content-Length"]), 16384)))
        if not hmac.compare_digest(self.headers.get("Authorization", ""), "Bearer " + options.token):
            status, reply = 401, {"error": "token"}
        elif path and (not path[1] or path[1] in streams):
            do = {None: begin, "captured": captured, "end": end}[path[2]]
            status, reply = do(path[1] or call["id"], call)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())

def beat(control):
    while True:
        facts = {"name": options.name, "host": options.host, "control": control, "capacity": options.capacity,
                 "streams": len(streams), "version": "example"}
        try:
            with urllib.request.urlopen(urllib.request.Request(options.gateway, json.dumps(facts).encode(), {
                    "Authorization": "Bearer " + options.token}), timeout=5) as answer:
                time.sleep(json.load(answer)["interval_s"])
        except OSError as error:  # HTTP errors, too
            print("heartbeat:", error, flush=True)
            time.sleep(3)

with http.server.HTTPServer((options.host, options.port), Calls) as server:
    server.timeout, url = 0.1, f"http://{options.host}:{server.server_port}"
    threading.Thread(target=beat, args=[url], daemon=True).start()
    print("video server on", url, flush=True)
    while True:
        server.handle_request()  # or 0.1 s
        for id, stream in list(streams.items()):
            if select.select(stream["sockets"][:1], [], [], 0)[0] and len(stream["sockets"][0].recv(2048)) >= 12:
                stream["heard"] = time.monotonic()  # an RTP header has 12 bytes
            if time.monotonic() - stream["asked"] > stream["lease"]:
                end(id, {})
