// The file of hosts.

package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/krazycam/krazycam/firmware/openfile"
)

const (
	maxHostsFile = 1 << 20 // bytes
	maxHosts     = 10_000
	maxHost      = 253 + 6 // bytes: a DNS name and a port
)

// ReadHosts reads a file of one HOST or HOST:PORT a line. Empty lines, and what follows a #, do not
// count; a host that is there twice counts once.
func ReadHosts(path string) ([]string, error) {
	b, err := openfile.Read(path, maxHostsFile)
	if err != nil {
		return nil, err
	}
	hosts, err := parseHosts(b)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return hosts, nil
}

// CheckHosts does the same with hosts from a command line.
func CheckHosts(hosts []string) ([]string, error) {
	for _, host := range hosts {
		if err := checkHost(strings.ToLower(host)); err != nil {
			return nil, err
		}
	}
	return parseHosts([]byte(strings.Join(hosts, "\n")))
}

// parseHosts gives errors that begin with the line's number.
func parseHosts(b []byte) ([]string, error) {
	var hosts []string
	known := map[string]bool{}
	for i, line := range bytes.Split(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), []byte("\n")) {
		text, _, _ := strings.Cut(string(line), "#")
		host := strings.ToLower(strings.TrimSpace(text))
		if host == "" {
			continue
		}
		if err := checkHost(host); err != nil {
			return nil, fmt.Errorf("%d: %w", i+1, err)
		}
		if known[host] {
			continue
		}
		if len(hosts) == maxHosts {
			return nil, fmt.Errorf("%d: more than %d hosts", i+1, maxHosts)
		}
		known[host] = true
		hosts = append(hosts, host)
	}
	if len(hosts) == 0 {
		return nil, errors.New("1: no host in it")
	}
	return hosts, nil
}

// checkHost refuses what is no host: two in one line, a URL, an option.
func checkHost(host string) error {
	name := host
	if h, port, err := net.SplitHostPort(host); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("%.80q: what follows the colon is no port", host)
		}
		name = h
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if len(host) > maxHost || bare == "" || bare[0] == '-' || strings.ContainsFunc(bare, notHostChar) {
		return fmt.Errorf("%.80q is no HOST or HOST:PORT; one a line", host)
	}
	return nil
}

// notHostChar leaves names, IPv4 and IPv6 addresses with a zone.
func notHostChar(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-._:%", r)
}
