package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
)

func TestDnsmasqGivesAddressRouterNameAndTimeServers(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, "dnsmasq", "ping")
	b.dnsmasq("br1", "192.0.2.50", "192.0.2.50", "--dhcp-option=3,192.0.2.1", "--dhcp-option=6,192.0.2.1,192.0.2.9",
		"--dhcp-option=42,192.0.2.7", "--domain=example.org")
	b.onBoard("ip", "addr", "add", "203.0.113.9/24", "dev", "near") // of an earlier time
	b.start()
	b.awaitAddress("192.0.2.50/24")
	b.await("routes", b.routes, func(s string) bool { return strings.Contains(s, "default") })
	b.wantOnly("routes", b.routes(),
		[]string{"default via 192.0.2.1 dev near proto dhcp", "192.0.2.0/24 dev near proto dhcp scope link",
			"metric 10"},
		[]string{"203.0.113", "proto kernel"})
	b.wantOnly("resolv.conf", b.resolvConf(),
		[]string{"nameserver 192.0.2.1\nnameserver 192.0.2.9", "search example.org"}, nil)
	b.reachable("192.0.2.1")
	b.await("lease file", b.leaseFile, func(s string) bool {
		return strings.Contains(s, `"timeServers":["192.0.2.7"]`)
	})
	b.awaitLog("address by DHCP")
	log := b.log.String()
	if strings.Contains(log, "no DHCP server answers") {
		return // for 10 s: the machine is too busy for a plain start
	}
	if n := strings.Count(log, "\n"); n != 1 {
		t.Errorf("a plain start logs %d lines, want 1:\n%s", n, log)
	}
}

func TestProgramRunsAsItsOwnUserWithTwoCapabilities(t *testing.T) {
	t.Parallel()
	b := newTestbed(t)
	b.start()
	status := func() string { // nsenter becomes the program
		c, _ := os.ReadFile(filepath.Join("/proc", itoa(b.program.Process.Pid), "status"))
		return string(c)
	}
	b.await("status", status, func(s string) bool {
		return strings.Contains(s, "Uid:\t2002\t2002\t2002\t2002") &&
			strings.Contains(s, "CapEff:\t0000000000003000") && strings.Contains(s, "CapPrm:\t0000000000003000") &&
			strings.Contains(s, "NoNewPrivs:\t1")
	})
}

func TestUdhcpdGivesALeaseThatARestartedProgramKeeps(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, "udhcpd")
	conf := filepath.Join(b.folder, "udhcpd.conf")
	text := "start 192.0.2.20\nend 192.0.2.30\ninterface br1\nlease_file " + filepath.Join(b.folder, "leases") +
		"\npidfile " + filepath.Join(b.folder, "pid") +
		"\noption subnet 255.255.255.0\noption router 192.0.2.1\noption dns 192.0.2.1\noption lease 600\n"
	for _, f := range []struct{ path, text string }{{conf, text}, {filepath.Join(b.folder, "leases"), ""}} {
		if err := os.WriteFile(f.path, []byte(f.text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.serve("udhcpd", "-f", conf)
	b.start()
	first := b.await("addresses", b.addresses, func(s string) bool { return strings.HasPrefix(s, "192.0.2.") })
	b.await("lease file", b.leaseFile, func(s string) bool { return strings.Contains(s, "192.0.2.") })

	if err := b.program.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	b.program.Wait()
	b.start()
	b.awaitLog("the lease is good here")
	if got := b.addresses(); got != first {
		t.Errorf("address after a restart = %q, want %q", got, first)
	}
}

func TestISCServerGivesHostAddressWithRouterElsewhereAndClasslessRoutes(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, "dhcpd", "ping")
	b.atFar("ip", "addr", "add", "10.9.9.1/32", "dev", "lo")
	conf := filepath.Join(b.folder, "dhcpd.conf")
	text := `option classless code 121 = array of unsigned integer 8;
authoritative; default-lease-time 600; max-lease-time 600; ping-check false;
subnet 192.0.2.0 netmask 255.255.255.0 {
	range 192.0.2.70 192.0.2.70;
	option subnet-mask 255.255.255.255;
	option routers 192.0.2.2;
	option classless 32, 192,0,2,1, 0,0,0,0, 24, 10,9,9, 192,0,2,1, 0, 192,0,2,1;
}
subnet 198.51.100.0 netmask 255.255.255.0 { }
`
	leases := filepath.Join(b.folder, "dhcpd.leases")
	for path, text := range map[string]string{conf: text, leases: ""} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	b.serve("dhcpd", "-4", "-f", "-d", "-cf", conf, "-lf", leases, "-pf", filepath.Join(b.folder, "dhcpd.pid"), "br1")
	b.start()
	b.awaitAddress("192.0.2.70/32")
	b.await("routes", b.routes, func(s string) bool { return strings.Contains(s, "default") })
	b.wantOnly("routes", b.routes(),
		[]string{"default via 192.0.2.1 dev near", "192.0.2.1 dev near", "10.9.9.0/24 via 192.0.2.1"},
		[]string{"192.0.2.2"})
	b.reachable("10.9.9.1")
}

func TestCableInAnotherNetworkLeavesNothingOfTheOldOne(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, "dnsmasq", "ping")
	b.dnsmasq("br1", "192.0.2.50", "192.0.2.50", "--dhcp-option=6,192.0.2.1")
	b.dnsmasq("br2", "198.51.100.60", "198.51.100.60", "--dhcp-option=6,198.51.100.1")
	b.start()
	b.awaitAddress("192.0.2.50/24")
	b.unplug()
	b.awaitLog("no carrier")
	b.plug("br2")
	begin := time.Now()
	b.awaitAddress("198.51.100.60/24")
	t.Logf("FIGURE dhcp: address of another network %v after the cable", time.Since(begin).Round(time.Millisecond))
	b.await("routes", b.routes, func(s string) bool { return strings.Contains(s, "default via 198.51.100.1") })
	b.wantOnly("routes", b.routes(), nil, []string{"192.0.2"})
	b.wantOnly("resolv.conf", b.resolvConf(), []string{"nameserver 198.51.100.1"}, []string{"192.0.2"})
	b.reachable("198.51.100.1")

	b.unplug()
	b.await("log", b.log.String, func(s string) bool { return strings.Count(s, "no carrier") == 2 })
	b.plug("br2") // into the same network
	b.awaitLog("asking for it again")
	b.awaitAddress("198.51.100.60/24")
	b.reachable("198.51.100.1")
}

func TestTwoInterfacesHaveRoutesSideBySide(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, "dnsmasq", "ping")
	b.onBoard("ip", "link", "add", "near2", "type", "veth", "peer", "name", "far2", "netns", b.far)
	b.atFar("ip", "link", "set", "far2", "master", "br2")
	b.atFar("ip", "link", "set", "far2", "up")
	b.dnsmasq("br1", "192.0.2.50", "192.0.2.50", "--dhcp-option=6,192.0.2.1")
	b.dnsmasq("br2", "198.51.100.60", "198.51.100.60", "--dhcp-option=6,198.51.100.1")
	b.start("--interface", "near2")
	both := []string{"default via 192.0.2.1 dev near ", "default via 198.51.100.1 dev near2 "}
	b.await("routes", b.routes, func(s string) bool {
		return strings.Contains(s, both[0]) && strings.Contains(s, both[1])
	})
	b.await("resolv.conf", b.resolvConf, func(s string) bool {
		return strings.Contains(s, "192.0.2.1\n") && strings.Contains(s, "198.51.100.1\n")
	})
	b.onBoard("ip", "link", "del", "near")
	b.await("resolv.conf", b.resolvConf, func(s string) bool { return !strings.Contains(s, "192.0.2.1\n") })
	b.wantOnly("routes", b.routes(), both[1:], both[:1])
}

func TestOfTwoInterfacesTheOneWithACarrierIsUsed(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, "dnsmasq", "ping")
	b.onBoard("ip", "link", "add", "near2", "type", "veth", "peer", "name", "far2", "netns", b.far)
	b.atFar("ip", "link", "set", "far2", "master", "br2")
	b.atFar("ip", "link", "set", "far2", "up")
	b.atFar("ip", "addr", "add", "203.0.113.1/32", "dev", "lo") // beyond both routers
	b.dnsmasq("br1", "192.0.2.50", "192.0.2.50", "--dhcp-option=6,192.0.2.1")
	b.dnsmasq("br2", "198.51.100.60", "198.51.100.60", "--dhcp-option=6,198.51.100.1")
	b.start("--interface", "near2")
	first := "nameserver 192.0.2.1\nnameserver 198.51.100.1\n"
	second := "nameserver 198.51.100.1\nnameserver 192.0.2.1\n"
	b.await("routes", b.routes, func(s string) bool { return strings.Count(s, "default") == 2 })
	normal := b.await("resolv.conf", b.resolvConf, func(s string) bool {
		return strings.Contains(s, first) || strings.Contains(s, second)
	})
	pulled, order := "far", second // the one of the lower metric
	if strings.Contains(normal, second) {
		pulled, order = "far2", first
	}
	b.reachable("203.0.113.1")
	b.atFar("ip", "link", "set", pulled, "down")
	b.await("resolv.conf", b.resolvConf, func(s string) bool { return strings.Contains(s, order) })
	b.reachable("203.0.113.1")
	b.wantOnly("routes", b.routes(), []string{"linkdown"}, nil) // its lease goes on
	b.atFar("ip", "link", "set", pulled, "up")
	b.await("resolv.conf", b.resolvConf, func(s string) bool { return s == normal })
	b.reachable("203.0.113.1")
}

func TestWithoutAServerTheBoardHasALinkLocalAddress(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, "dnsmasq")
	b.start()
	b.await("addresses", b.addresses, func(s string) bool {
		return strings.HasPrefix(s, "169.254.") && strings.HasSuffix(s, "/16")
	})
	b.wantOnly("routes", b.routes(), []string{"169.254.0.0/16 dev near"}, []string{"default"})
	b.dnsmasq("br1", "192.0.2.50", "192.0.2.50")
	b.awaitAddress("192.0.2.50/24")
	b.awaitLog("DHCP server answers again")
}

func TestRouterAdvertisementsGiveAddressAndNameServers(t *testing.T) {
	t.Parallel()
	for _, daemon := range []string{"radvd", "dnsmasq"} {
		t.Run(daemon, func(t *testing.T) {
			t.Parallel()
			b := newTestbed(t, daemon)
			need.File(t, "/proc/sys/net/ipv6", "a kernel with IPv6")
			b.atFar("ip", "addr", "add", "2001:db8::1/64", "dev", "br1", "nodad")
			b.start() // before the router: its first advertisements must not be needed
			b.advertise(daemon)
			b.await("resolv.conf", b.resolvConf, func(s string) bool {
				return strings.Contains(s, "nameserver 2001:db8::53\n")
			})
			b.await("IPv6 addresses", func() string { return b.onBoard("ip", "-6", "addr", "show", "dev", "near") },
				func(s string) bool { return strings.Contains(s, "2001:db8:") })
		})
	}
}

// advertise starts a router at the far end.
func (b *testbed) advertise(daemon string) {
	b.t.Helper()
	if daemon == "dnsmasq" {
		b.dnsmasq("br1", "192.0.2.50", "192.0.2.50", "--enable-ra", "--dhcp-range=2001:db8::,ra-only,64,1h",
			"--dhcp-option=option6:dns-server,[2001:db8::53]", "--ra-param=br1,4,600")
		return
	}
	conf := filepath.Join(b.folder, "radvd.conf")
	text := "interface br1 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4;\n" +
		"prefix 2001:db8::/64 { };\nRDNSS 2001:db8::53 { };\n};\n"
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.atFar("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
	b.serve("radvd", "-n", "-C", conf, "-p", filepath.Join(b.folder, "radvd.pid"), "-m", "stderr")
}
