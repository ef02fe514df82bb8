// The settings table: every key of camserver's configuration file, declared once.

package settings

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Default is a server of which nothing was said.
func Default() Settings {
	return Settings{
		Gateway:  Gateway{Listen: ":8443", TLS: true},
		Receiver: Receiver{Ports: Ports{RTP: 5004, RTCP: 5005}, Capacity: 100},
		State:    State{Folder: "camserver"},
		Record:   Record{Folder: "recordings", Bytes: 20e9, Age: 30 * day, Segment: time.Hour},
		Operator: Operator{Listen: "127.0.0.1:8081"},
		Log:      Log{Level: slog.LevelInfo, Format: "text"},
	}
}

// Groups lists all settings, bound to s: what a Value takes is stored there.
func (s *Settings) Groups() []Group {
	return []Group{
		{"gateway", "where cameras ask whether they may send", s.Gateway.settings()},
		{"receiver", "where their streams arrive", s.Receiver.settings()},
		{"state", "where the server keeps what it must not forget", s.State.settings()},
		{"record", "what is kept of the pictures", s.Record.settings()},
		{"forward", "who else gets the streams", s.Forward.settings()},
		{"operator", "how people and monitoring ask the server", s.Operator.settings()},
		{"cluster", "several servers with one database", s.Cluster.settings()},
		{"log", "what is logged, to stderr", s.Log.settings()},
	}
}

func (g *Gateway) settings() []Setting {
	return append([]Setting{{
		Key: "listen", Flag: "listen", Value: listen(&g.Listen),
		Help: "TCP address of the gateway, which cameras ask; its host is also the receiver's",
	}, {
		Key: "host", Flag: "host", Value: host(&g.Host),
		Help:    "name or address by which cameras reach the gateway, for seeds and the certificate",
		Default: "this machine's first address",
	}, {
		Key: "proxies", Flag: "proxies",
		Value: list(&g.Proxies, "NETWORK", "networks such as 10.0.0.0/8", isNetwork),
		Help:  "load balancers in front of the gateway, whose X-Forwarded-For says who asks",
	}, {
		Key: "srtp", Flag: "srtp", Value: toggle(&g.SRTP),
		Help:  "grant encrypted streams only",
		Notes: "keys travel over https only",
	}, {
		Key: "keepalive", Flag: "keepalive",
		Value: duration(&g.KeepAlive, 5*time.Second, 600*time.Second, "the protocol's 60s"),
		Help:  "how often a camera must ask whether it may go on; a stream ends after four times that",
	}}, g.secureSettings()...)
}

func (g *Gateway) secureSettings() []Setting {
	return []Setting{{
		Key: "tls", Flag: "tls", Value: toggle(&g.TLS),
		Help:  "https; false only behind a load balancer that does it, or on a loopback address",
		Notes: "without `certificate` one is made at the first start and kept; cameras trust it by their seed",
	}, {
		Key: "certificate", Flag: "cert", Value: path(&g.Certificate, "file"),
		Help:    "certificate of https, PEM, its own first; read again when the file changes",
		Default: "one that is made once",
	}, {
		Key: "key", Flag: "tls-key", Value: path(&g.Key, "file"),
		Help:  "the key of that certificate, PEM; other users must not be able to read it",
		Notes: "",
	}, {
		Key: "names", Flag: "tls-names", Value: list(&g.Names, "HOST", "host names and addresses", isName),
		Help: "further names for the certificate that is made",
	}}
}

func isNetwork(s string) bool { _, err := netip.ParsePrefix(s); return err == nil }

func isName(s string) bool { return s != "" && !strings.ContainsAny(s, " /@") }

func (r *Receiver) settings() []Setting {
	return []Setting{{
		Key: "listen", Flag: "receiver-listen", Value: host(&r.Listen),
		Help:    "address at which streams arrive",
		Default: "that of the gateway",
	}, {
		Key: "host", Flag: "receiver-host", Value: host(&r.Host),
		Help:    "name or address that cameras are told to send to",
		Notes:   "of several servers, each says its own",
		Default: "gateway.host, else the host that a camera asked; of several servers this machine's first address",
	}, {
		Key: "ports", Flag: "ports", Value: ports(&r.Ports),
		Help:  "UDP ports of streams",
		Notes: "on shared ports, cameras that announce no SSRC must have different addresses; ours announce it",
	}, {
		Key: "any-address", Flag: "any-address", Value: toggle(&r.AnyAddress),
		Help: "take a stream that announced no SSRC from any address",
		Notes: "for older sources behind a proxy, or that send from another interface than they ask from; " +
			"a stranger likes it",
	}, {
		Key: "capacity", Flag: "capacity", Value: number(&r.Capacity, 1, 10_000),
		Help: "streams that this server takes at once",
	}}
}

func (s *State) settings() []Setting {
	return []Setting{{
		Key: "folder", Flag: "state", Value: path(&s.Folder, "folder"),
		Help:  "database, certificate and first secrets; for one server at a time",
		Notes: "relative to where camserver is started; the packages' service has /var/lib/camserver",
	}, {
		Key: "database", Flag: "database",
		Value: text(&s.Database, "URL", "a URL such as "+databaseExample, isDatabase),
		Help:  "PostgreSQL, which several servers may share",
		Notes: "a password is best kept out of the URL, in the file that the variable PGPASSFILE names; " +
			"a configuration file with one must be readable by its owner and group alone",
		Default: "SQLite in the state folder",
	}}
}

const databaseExample = "postgres://camserver@db.example/camserver"

func isDatabase(s string) bool {
	return strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://")
}

func (r *Record) settings() []Setting {
	return []Setting{{
		Key: "folder", Flag: "record", Value: path(&r.Folder, "folder"),
		Help:  "where streams are recorded as WebM, relative to the state folder; \"\": nowhere",
		Notes: "one folder for each customer, in it one for each camera",
	}, {
		Key: "bytes", Flag: "record-bytes", Value: size(&r.Bytes, 10e6, "no limit"),
		Help: "what recordings of one customer may take; the oldest go first",
	}, {
		Key: "age", Flag: "record-age", Value: duration(&r.Age, time.Minute, 3650*day, "for ever"),
		Help: "how long a recording is kept",
	}, {
		Key: "segment", Flag: "record-segment", Value: duration(&r.Segment, 10*time.Second, day, ""),
		Help: "length of one file",
	}}
}

func (f *Forward) settings() []Setting {
	return []Setting{{
		Key: "rules", Value: rules(&f.Rules),
		Help:    "which streams are handed on, and where to",
		Notes:   "[forwarding](forwarding.md) explains the rules",
		Default: "none",
	}}
}

func (o *Operator) settings() []Setting {
	return []Setting{{
		Key: "listen", Flag: "operator", Value: listen(&o.Listen),
		Help: "TCP address of the JSON API, health and /metrics; \"\": nowhere",
		Notes: "it is plain http: keep it to this machine, or to a network where nobody reads the administrator's " +
			"token on the way; /metrics and health ask for no password",
	}, {
		Key: "password-file", Flag: "admin", Value: path(&o.PasswordFile, "file"),
		Help:    "who may use the gateway protocol's action admin: USER:PASSWORD, in a file of its owner and group",
		Default: "nobody; the API has a token of its own, shown at the first start",
	}}
}

func (c *Cluster) settings() []Setting {
	return []Setting{{
		Key: "name", Flag: "name",
		Value:   text(&c.Name, "NAME", "up to 63 letters, digits, dots and hyphens", isNodeName),
		Help:    "what this server is called among the others; each has a name of its own, and keeps it",
		Default: "the host name",
	}, {
		Key: "listen", Flag: "control", Value: listen(&c.Listen),
		Help:    "TCP address where the other servers ask this one for streams",
		Notes:   "for servers that share a database; keep it inside your network",
		Default: "none: this server gives streams to itself alone",
	}, {
		Key: "url", Flag: "control-url", Value: text(&c.URL, "URL", "a URL such as https://10.0.0.3:8082", isURL),
		Help:    "how the others reach that address; they share a certificate in the database",
		Default: "https, this machine's first address and that port",
	}, {
		Key: "tokens-file", Flag: "video-servers", Value: path(&c.TokensFile, "file"),
		Help:    "video servers of others that may join: NAME TOKEN, one a line, in a file of its owner and group",
		Default: "none may",
	}}
}

func isNodeName(s string) bool {
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.')
	}
	return len(s) <= 63 && !strings.ContainsFunc(s, odd)
}

func isURL(s string) bool { return strings.HasPrefix(s, "https://") && len(s) > len("https://") }

func (l *Log) settings() []Setting {
	return []Setting{{
		Key: "level", Flag: "log-level", Value: level(&l.Level),
		Help: "how much is logged",
	}, {
		Key: "format", Flag: "log-format", Value: choice(&l.Format, "text", "json"),
		Help: "how a line looks",
	}}
}

// Check finds what no setting shows by itself.
func (s *Settings) Check() error {
	switch {
	case (s.Gateway.Certificate == "") != (s.Gateway.Key == ""):
		return fmt.Errorf("gateway.certificate and gateway.key (--cert, --tls-key) belong together: one is missing")
	case s.Gateway.Certificate != "" && !s.Gateway.TLS:
		return fmt.Errorf("gateway.certificate (--cert) has no use without gateway.tls (--tls)")
	case s.Gateway.SRTP && !s.Gateway.TLS && len(s.Gateway.Proxies) == 0:
		return fmt.Errorf("gateway.srtp (--srtp): keys travel over https only: set gateway.tls (--tls), " +
			"or gateway.proxies (--proxies) for a load balancer that does it")
	case s.Gateway.Listen == "":
		return fmt.Errorf("gateway.listen (--listen) is missing")
	case s.Cluster.Listen != "" && s.State.Database == "":
		return fmt.Errorf("cluster.listen (--control) needs a database that servers can share: " +
			"state.database (--database)")
	case s.Cluster.URL != "" && s.Cluster.Listen == "":
		return fmt.Errorf("cluster.url (--control-url) belongs to cluster.listen (--control), which is missing")
	case s.State.Folder == "":
		return fmt.Errorf("state.folder (--state) is missing")
	}
	return nil
}

// CheckPlain finds a gateway that would take API keys in the clear from other machines.
func (s *Settings) CheckPlain() error {
	if s.Gateway.TLS || len(s.Gateway.Proxies) > 0 || IsLoopback(s.Gateway.Listen) {
		return nil
	}
	return fmt.Errorf("gateway.tls (--tls) is false, and API keys would be sent in the clear: name the load balancer " +
		"that has https in gateway.proxies (--proxies), or listen on a loopback address such as 127.0.0.1:8080 " +
		"(gateway.listen, --listen)")
}

// IsLoopback says whether HOST:PORT is for this machine alone.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip, _ := netip.ParseAddr(host) // a name is none
	return err == nil && (host == "localhost" || ip.IsLoopback())
}
