// Package destination says which addresses a stranger may not have a board send to: the board itself, its
// own link, a network's broadcast, what is no host, and each of them in every form that IPv6 has for an
// IPv4 address.
//
// Package gateway asks it about the receiver that a gateway names, package pull about the server that an
// offer leads to. It owns nothing, and resolves no names.
//
// Sources: the IANA registries of special-purpose addresses (RFC 6890), RFC 1122 section 3.2.1.3,
// RFC 3927 (169.254.0.0/16), RFC 4291 (IPv6), RFC 6052 and 8215 (NAT64), RFC 3056 (6to4),
// RFC 4380 (Teredo), RFC 5214 (ISATAP), RFC 7915 (translated addresses).
package destination

import (
	"fmt"
	"net"
	"net/netip"
)

// A Danger is why an address is refused. The zero Danger is none.
type Danger struct {
	What string // such as "a multicast address"

	// The owner may allow it by an entry of gateway.allowed-receivers for nothing else: an address,
	// or a range of at least so many bits. 0: nobody may.
	EntryBits int
}

// specials are ranges that no receiver and no update server is in. Loopback is not among them:
// gateway.allow-loopback is about that.
func specials() []struct {
	addrs    netip.Prefix
	what     string
	nameable bool
} {
	type special = struct {
		addrs    netip.Prefix
		what     string
		nameable bool
	}
	of := func(addrs, what string, nameable bool) special {
		return special{netip.MustParsePrefix(addrs), what, nameable}
	}
	return []special{
		of("255.255.255.255/32", "a broadcast address", false),
		of("0.0.0.0/8", "a reserved address", false),
		of("240.0.0.0/4", "a reserved address", false),
		of("224.0.0.0/4", "a multicast address", false),
		of("169.254.0.0/16", "a link-local address", true),
		of("::/128", "no address", false),
		of("ff00::/8", "a multicast address", false),
		of("fe80::/10", "a link-local address", true),
	}
}

// An embedding is where an IPv6 address carries an IPv4 address that packets may end at.
type embedding struct {
	prefix netip.Prefix // of the IPv6 addresses; the zero prefix: all, of an interface id of ISATAP
	bytes  [4]int       // where the IPv4 address is
	mask   byte         // with which its bytes are XORed
	what   string
}

// last32 is where most of them have it.
func last32() [4]int { return [4]int{12, 13, 14, 15} }

func embeddings() []embedding {
	of := func(prefix, what string, mask byte, bytes [4]int) embedding {
		return embedding{netip.MustParsePrefix(prefix), bytes, mask, what}
	}
	return []embedding{
		of("::/96", "in an IPv4-compatible address", 0, last32()),
		of("::ffff:0:0:0/96", "in a translated address", 0, last32()),
		of("64:ff9b::/96", "behind NAT64", 0, last32()),
		// Of a network's own NAT64 the prefix may have 48, 56, 64 or 96 bits; byte 8 is left out.
		of("64:ff9b:1::/48", "behind NAT64", 0, last32()),
		of("64:ff9b:1::/48", "behind NAT64", 0, [4]int{6, 7, 9, 10}),
		of("64:ff9b:1::/48", "behind NAT64", 0, [4]int{7, 9, 10, 11}),
		of("64:ff9b:1::/48", "behind NAT64", 0, [4]int{9, 10, 11, 12}),
		of("2002::/16", "behind 6to4", 0, [4]int{2, 3, 4, 5}),
		of("2001::/32", "behind Teredo", 0, [4]int{4, 5, 6, 7}),
		of("2001::/32", "behind Teredo", 0xff, last32()),
		{what: "behind ISATAP", bytes: last32()},
	}
}

// find gives the IPv4 address in addr, which has 16 bytes and no zone.
func (e embedding) find(addr netip.Addr) (inner netip.Addr, ok bool) {
	b := addr.As16()
	if e.prefix.IsValid() && !e.prefix.Contains(addr) {
		return inner, false
	}
	if !e.prefix.IsValid() && (b[8]&^2 != 0 || b[9] != 0 || b[10] != 0x5e || b[11] != 0xfe) {
		return inner, false
	}
	var four [4]byte
	for i, at := range e.bytes {
		four[i] = b[at] ^ e.mask
	}
	return netip.AddrFrom4(four), true
}

// isCertain says that addr has its IPv4 address there and nowhere else.
func (e embedding) isCertain() bool { return e.prefix.Bits() != 48 }

// FindDanger says why addr, which is unmapped and has no zone, may not be named. local has this machine's
// addresses, each with its network's length. This machine itself is no danger: see IsOurs.
func FindDanger(addr netip.Addr, local []netip.Prefix) Danger {
	if d := findPlain(addr, local); d.What != "" {
		return d
	}
	if addr.Is4() || IsOurs(addr, local) {
		return Danger{}
	}
	for _, e := range embeddings() {
		inner, ok := e.find(addr)
		if !ok {
			continue
		}
		d := findPlain(inner, local)
		if IsOurs(inner, local) {
			d = Danger{"this machine itself", 32}
			if inner.IsLoopback() {
				d.EntryBits = 8
			}
		}
		zeros := inner.As4()[0] == 0 // no address at all in three of four places of a local NAT64
		if d.What == "" || zeros && !e.isCertain() {
			continue
		}
		if d.EntryBits != 0 {
			d.EntryBits += 8 * e.bytes[0]
		}
		d.What = fmt.Sprintf("%v %s: %s", inner, e.what, d.What)
		return d
	}
	if netip.MustParsePrefix("::/96").Contains(addr) && !addr.IsLoopback() {
		return Danger{"an IPv4-compatible address, of which there are none any more", 96}
	}
	return Danger{}
}

// findPlain looks at addr as it stands.
func findPlain(addr netip.Addr, local []netip.Prefix) Danger {
	if !addr.IsValid() {
		return Danger{What: "no address"}
	}
	for _, s := range specials() {
		if s.addrs.Contains(addr) {
			d := Danger{What: s.what}
			if s.nameable {
				d.EntryBits = s.addrs.Bits()
			}
			return d
		}
	}
	for _, p := range local {
		// A /31 or /32 has no broadcast address (RFC 3021).
		if addr.Is4() && p.Addr().Is4() && p.Bits() < 31 && (addr == lastAddrOf(p) || addr == p.Masked().Addr()) {
			return Danger{What: "a broadcast address of our own network"}
		}
	}
	return Danger{}
}

// IsOurs says whether addr, which is unmapped and has no zone, is this machine itself.
func IsOurs(addr netip.Addr, local []netip.Prefix) bool {
	if addr.IsLoopback() {
		return true
	}
	for _, p := range local {
		if p.Addr().Unmap() == addr {
			return true
		}
	}
	return false
}

func lastAddrOf(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}

// Local gives this machine's addresses, each with its network's length.
func Local() ([]netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("our own addresses: %w", err)
	}
	var prefixes []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			prefixes = append(prefixes, p)
		}
	}
	return prefixes, nil
}
