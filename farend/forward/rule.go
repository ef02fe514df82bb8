// Rules: which streams go where. They are the operator's own, never a customer's: what they name is
// sent to without a question.

package forward

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// A Rule hands streams on. It has one of RTP, Janus and WHIP. Its JSON is part of camserver's
// configuration; docs/forwarding.md explains each member to an operator.
type Rule struct {
	// From says which streams: "all", "customer:NAME", "source:ID" or "source:CUSTOMER/NAME". * stands for
	// any characters. A source's name counts within its customer alone, who may choose any.
	From string `json:"from"`

	// RTP is HOST:PORT, or HOST:FIRST-LAST for several streams at once: a stream takes a pair, an
	// even port for RTP and the next for RTCP.
	RTP   string `json:"rtp,omitempty"`
	Local int    `json:"local,omitempty"` // even port here for the stream to FIRST; 0: any
	SDP   string `json:"sdp,omitempty"`   // path of the description, with {source}, {customer}, {stream}, {port}

	Janus     string `json:"janus,omitempty"`      // base URL of its HTTP API, such as http://127.0.0.1:8088/janus
	AdminKey  string `json:"admin_key,omitempty"`  // of the streaming plugin
	APISecret string `json:"api_secret,omitempty"` // of Janus
	Secret    string `json:"secret,omitempty"`     // of the mountpoints: needed to destroy one
	Pin       string `json:"pin,omitempty"`        // that viewers need
	Host      string `json:"host,omitempty"`       // where Janus takes RTP; "": the URL's
	Iface     string `json:"iface,omitempty"`      // address that mountpoints listen on; "": all, or a loopback Host

	WHIP    string   `json:"whip,omitempty"`    // URL, with {source}, {customer}, {stream}
	Token   string   `json:"token,omitempty"`   // bearer token
	LiveKit *LiveKit `json:"livekit,omitempty"` // makes a token for each stream
}

// What a Rule forwards to.
const (
	ToRTP   = "rtp"
	ToJanus = "janus"
	ToWHIP  = "whip"
)

// to says which of the three a checked rule is.
func (r *Rule) to() string {
	switch {
	case r.RTP != "":
		return ToRTP
	case r.Janus != "":
		return ToJanus
	}
	return ToWHIP
}

// Check says what is wrong with a rule, in words for whoever wrote it.
func (r *Rule) Check() error {
	if !r.fromIsRight() {
		return fmt.Errorf(`from is %q: want "all", "customer:NAME", "source:ID" or "source:CUSTOMER/NAME"`, r.From)
	}
	ways := 0
	for _, way := range []string{r.RTP, r.Janus, r.WHIP} {
		if way != "" {
			ways++
		}
	}
	if ways != 1 {
		return fmt.Errorf("the rule for %s has %d of rtp, janus and whip: want one", r.From, ways)
	}
	if err := r.checkMembers(); err != nil {
		return err
	}
	switch r.to() {
	case ToRTP:
		_, err := parsePool(r.RTP, r.Local)
		return err
	case ToJanus:
		return r.checkJanus()
	}
	return r.checkWHIP()
}

func (r *Rule) fromIsRight() bool {
	kind, pattern, _ := strings.Cut(r.From, ":")
	switch kind {
	case "customer":
		return pattern != ""
	case "source":
		customer, name, named := strings.Cut(pattern, "/")
		return customer != "" && (name != "") == named && !strings.Contains(name, "/")
	}
	return r.From == "all"
}

// checkMembers finds a member that another kind of rule has.
func (r *Rule) checkMembers() error {
	for _, m := range []struct {
		name, of string
		set      bool
	}{
		{"local", ToRTP, r.Local != 0},
		{"sdp", ToRTP, r.SDP != ""},
		{"admin_key", ToJanus, r.AdminKey != ""},
		{"api_secret", ToJanus, r.APISecret != ""},
		{"secret", ToJanus, r.Secret != ""},
		{"pin", ToJanus, r.Pin != ""},
		{"host", ToJanus, r.Host != ""},
		{"iface", ToJanus, r.Iface != ""},
		{"token", ToWHIP, r.Token != ""},
		{"livekit", ToWHIP, r.LiveKit != nil},
	} {
		if m.set && m.of != r.to() {
			return fmt.Errorf("%s belongs to a rule with %s, not with %s", m.name, m.of, r.to())
		}
	}
	return nil
}

func (r *Rule) checkJanus() error {
	if err := checkURL(ToJanus, r.Janus); err != nil {
		return err
	}
	if r.Secret == "" {
		return errors.New("janus: secret is missing: without one anybody may destroy a mountpoint")
	}
	if r.Iface != "" {
		if _, err := netip.ParseAddr(r.Iface); err != nil {
			return fmt.Errorf("janus: iface: %w", err)
		}
	}
	return nil
}

func (r *Rule) checkWHIP() error {
	if r.LiveKit != nil {
		if r.Token != "" {
			return errors.New("whip: token and livekit exclude each other")
		}
		if err := r.LiveKit.check(); err != nil {
			return err
		}
	}
	return checkURL(ToWHIP, r.WHIP)
}

func checkURL(what, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%s is %q: want http:// or https:// and a host", what, address)
	}
	return nil
}

// matches says whether the rule is about a stream.
func (r *Rule) matches(customer, source, id string) bool {
	kind, pattern, _ := strings.Cut(r.From, ":")
	switch kind {
	case "customer":
		return match(pattern, customer)
	case "source":
		if owner, name, named := strings.Cut(pattern, "/"); named {
			return match(owner, customer) && match(name, source)
		}
		return match(pattern, id)
	}
	return true
}

// match says whether name fits pattern, in which * stands for any characters.
func match(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	rest := name[len(first) : len(name)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return true
}

// parsePool reads HOST:PORT or HOST:FIRST-LAST.
func parsePool(address string, local int) (*pool, error) {
	host, ports, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("rtp: %w", err)
	}
	first, last, isRange := strings.Cut(ports, "-")
	if !isRange {
		last = first
	}
	p := &pool{
		host: host, local: local, used: map[int]string{}, known: map[string]int{}, freed: make(chan struct{}),
	}
	if p.first, err = parsePort(first); err != nil {
		return nil, err
	}
	if p.last, err = parsePort(last); err != nil {
		return nil, err
	}
	switch {
	case host == "":
		return nil, fmt.Errorf("rtp is %q: the host is missing", address)
	case p.first%2 != 0:
		return nil, fmt.Errorf("rtp is %q: want an even port: RTCP goes to the next", address)
	case isRange && p.last <= p.first:
		return nil, fmt.Errorf("rtp is %q: the last port is not above the first", address)
	case local != 0 && (local < 1024 || local%2 != 0 || local+p.last-p.first+1 > 65535):
		return nil, fmt.Errorf("local is %d: want an even port from 1024 on, with as many above it as rtp has", local)
	}
	if ip, err := netip.ParseAddr(host); err == nil && (ip.IsMulticast() || ip.IsUnspecified()) {
		return nil, fmt.Errorf("rtp is %q: want the address of one host", address)
	}
	return p, nil
}

func parsePort(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 65534 {
		return 0, fmt.Errorf("rtp: port %q is not one from 1 to 65534", s)
	}
	return n, nil
}
