// The keys, and what each takes. A message says what would be right and repeats
// the wrong value, except for secrets.

package config

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A section maps its keys to what takes their values.
type section map[string]taker

// A taker takes a value: string, json.Number, bool, nil, or []any or map[string]any of these.
type taker = func(value any) error

func sections(c *Config) map[string]section {
	return map[string]section{
		"camera": {
			"device":     text(&c.Camera.Device, checkLine),
			"format":     text(&c.Camera.Format, oneOf("", "YUYV", "MJPG")),
			"power-line": text(&c.Camera.PowerLine, oneOf("", "off", "50", "60", "auto")),
			"controls":   numbers(&c.Camera.Controls),
		},
		"stream": {
			"size":    text(nil, c.Stream.Size.Set),
			"fps":     number(&c.Stream.FPS, 1, MaxFPS),
			"bitrate": c.Stream.Bitrate.take,
			"rtp":     text(&c.Stream.RTP, checkHostPort),
			"rtcp":    text(&c.Stream.RTCP, checkHostPort),

			"local-rtcp-port": number(&c.Stream.LocalRTCPPort, 1024, 65535),

			"rtx":          boolean(&c.Stream.RTX),
			"twcc":         boolean(&c.Stream.TWCC),
			"capture-time": boolean(&c.Stream.CaptureTime),
			"ping":         boolean(&c.Stream.Ping),

			"encryption": text(&c.Stream.Encryption, oneOf("", Required)),
		},
		"gateway": {
			"url":               text(&c.Gateway.URL, checkURL),
			"key":               text(&c.Gateway.Key, checkKey),
			"allow-http":        boolean(&c.Gateway.AllowHTTP),
			"ca":                text(&c.Gateway.CA, checkPEM),
			"allowed-receivers": texts(&c.Gateway.AllowedReceivers, checkReceiver),
			"allow-loopback":    boolean(&c.Gateway.AllowLoopback),
		},
		"time": {"ntp": texts(&c.Time.NTP, checkHost)},
		"log":  {"level": text(nil, c.Log.set)},

		"bench": c.Bench.keys(),
	}
}

// MaxFPS is the fastest rate of a UVC camera that any board here could encode.
const MaxFPS = 120

// text takes a string that check accepts; a nil to means that check stores it.
func text(to *string, check func(string) error) taker {
	return func(value any) error {
		s, ok := value.(string)
		if !ok {
			return errors.New(`must be text in " "`)
		}
		if err := check(s); err != nil {
			return err
		}
		if to != nil {
			*to = s
		}
		return nil
	}
}

func texts(to *[]string, check func(string) error) taker {
	return items(to, `["one", "two"]`, func(s *string) taker { return text(s, check) })
}

// items takes a list of what one takes.
func items[T any](to *[]T, example string, one func(*T) taker) taker {
	return func(value any) error {
		values, ok := value.([]any)
		if !ok {
			return fmt.Errorf("must be a list, such as %s", example)
		}
		all := make([]T, len(values))
		for i, v := range values {
			if err := one(&all[i])(v); err != nil {
				return err
			}
		}
		*to = all
		return nil
	}
}

func number(to *int, low, high int) taker {
	return func(value any) error {
		n, ok := value.(json.Number)
		i, err := strconv.Atoi(n.String())
		if !ok || err != nil || i < low || i > high {
			return fmt.Errorf("must be a whole number from %d to %d", low, high)
		}
		*to = i
		return nil
	}
}

// numbers takes an object of names and whole numbers or switches, which count as 0 and 1.
func numbers(to *map[string]int64) taker {
	return func(value any) error {
		members, ok := value.(map[string]any)
		if !ok {
			return errors.New(`must be an object, such as {"brightness": 128}`)
		}
		all := make(map[string]int64, len(members))
		for _, name := range slices.Sorted(maps.Keys(members)) {
			if err := checkName(name); err != nil {
				return err
			}
			n, err := wholeNumber(members[name])
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			all[name] = n
		}
		*to = all
		return nil
	}
}

func wholeNumber(value any) (int64, error) {
	switch v := value.(type) {
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 32); err == nil {
			return n, nil
		}
	}
	return 0, errors.New("must be a whole number of at most 32 bits, true or false")
}

// checkName takes the names that v4l2-ctl writes for controls.
func checkName(s string) error {
	odd := func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_') }
	if s == "" || len(s) > 64 || strings.ContainsFunc(s, odd) {
		return fmt.Errorf("%q must be a name such as white_balance_automatic", s)
	}
	return nil
}

func boolean(to *bool) taker {
	return func(value any) error {
		b, ok := value.(bool)
		if !ok {
			return errors.New("must be true or false")
		}
		*to = b
		return nil
	}
}

func (l *Log) set(s string) error {
	words := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	level, ok := words[s]
	if !ok {
		return fmt.Errorf("%q must be debug, info, warn or error", s)
	}
	l.Level = level
	return nil
}

func oneOf(words ...string) func(string) error {
	return func(s string) error {
		if !slices.Contains(words, s) {
			return fmt.Errorf("%q must be one of %q", s, words)
		}
		return nil
	}
}

// checkLine keeps control characters out of names that end up in logs and calls.
func checkLine(s string) error {
	if len(s) > 255 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errors.New("must be one line of at most 255 bytes")
	}
	return nil
}

func checkKey(s string) error {
	if len(s) > 1024 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return errors.New("must be at most 1024 bytes without spaces or control characters")
	}
	return nil
}

func checkURL(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	switch {
	case err == nil && u.Hostname() != "" && u.User == nil && (u.Scheme == "http" || u.Scheme == "https"):
		return nil
	case strings.Contains(s, "@"): // not repeated; the URL is logged and may be in an image
		return errors.New("must be a URL such as https://gateway.example/api, without user name and password: the key is the secret")
	}
	return fmt.Errorf("%q must be a URL such as https://gateway.example/api", s)
}

func checkHostPort(s string) error {
	if s == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(s)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || n == 0 || host == "" || checkLine(s) != nil {
		return fmt.Errorf("%q must be HOST:PORT, such as 192.168.1.5:5004", s)
	}
	return nil
}

func checkHost(s string) error {
	if _, err := netip.ParseAddr(s); err == nil {
		return nil
	}
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_')
	}
	if s == "" || len(s) > 253 || s[0] == '-' || strings.ContainsFunc(s, odd) {
		return fmt.Errorf("%q must be a host name or an address", s)
	}
	return nil
}

func checkReceiver(s string) error {
	if _, err := netip.ParsePrefix(s); err == nil {
		return nil
	}
	if strings.Contains(s, "/") || checkHost(s) != nil {
		return fmt.Errorf("%q must be an address, a range such as 10.0.0.0/8, or a host name", s)
	}
	return nil
}

func checkPEM(s string) error {
	if s == "" {
		return nil
	}
	found := false
	for rest := []byte(s); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if _, err := x509.ParseCertificate(block.Bytes); block.Type != "CERTIFICATE" || err != nil {
			return errors.New("holds a PEM block that is not a certificate")
		}
		found = true
	}
	if !found {
		return errors.New(`must be PEM text: "-----BEGIN CERTIFICATE-----\n…"`)
	}
	return nil
}
