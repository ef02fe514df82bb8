// The settings table: every key of krazycam.json, declared once.

package config

import "fmt"

// MaxFPS is the fastest rate of a UVC camera that any board here could encode.
const MaxFPS = 120

// The encoder's own ranges; a test of package bench compares them.
const (
	minSpeed, maxSpeed     = -16, -1
	minThreads, maxThreads = 1, 4
)

// What the mtu setting takes: from what every host takes (RFC 1122 section 3.3.2) to an Ethernet frame.
// Package rtpsend checks the same.
const minMTU, maxMTU = 576, 1500

func (c *Camera) settings() []Setting {
	return []Setting{{
		Key: "device", Flag: "camera", Value: text(&c.Device, cameraForm),
		Help:    "which camera: /dev/videoN, part of its name, serial number, USB port (1-1.2), FILE.y4m or pattern",
		Notes:   "`camsource cameras` lists them; a file and `pattern`, a test pattern, are for tests on a PC",
		Default: "the first USB camera",
	}, {
		Key: "format", Value: choice(&c.Format, "YUYV", "MJPG"),
		Help:    "how the camera sends its pictures: uncompressed (YUYV) or each as a JPEG (MJPG)",
		Notes:   "a preference: if the camera cannot do it, another format is taken and the log says why",
		Default: "YUYV if USB can carry it (20 MB/s), else MJPG",
	}, {
		Key: "power-line", Value: choice(&c.PowerLine, "off", "50", "60", "auto"),
		Help:    "frequency of the mains in Hz, against the flicker of lamps",
		Default: "as the camera is",
	}, {
		Key: "controls", Value: numbers(&c.Controls, `{"brightness": 128}`),
		Help: "other controls of the camera: whole numbers, or true and false",
		Notes: "by the names that `v4l2-ctl -l` and `camsource cameras --json` write; " +
			"set each time the camera is opened; a control that the camera lacks is one line in the log",
		Default: "`exposure_dynamic_framerate` 0, so that low light does not cost pictures",
	}}
}

func (s *Stream) settings() []Setting {
	return append(append(s.pictureSettings(), s.receiverSettings()...), s.pathSettings()...)
}

// pictureSettings decide what is encoded. Where they say nothing, the table in package
// board does; camsource's own test holds the values for a PC against these texts.
func (s *Stream) pictureSettings() []Setting {
	own := func(pc string) string { return "the board's own, on a PC " + pc }
	return []Setting{{
		Key: "size", Flag: "size", Value: size(&s.Size),
		Help:    "size of the pictures; the camera may give the nearest that it has",
		Notes:   fmt.Sprintf("sides are even, from %d to %d", minSide, maxSide),
		Default: own("640x480"),
	}, {
		Key: "fps", Flag: "fps", Value: number(&s.FPS, 1, MaxFPS),
		Help:    "pictures per second",
		Default: own("30"),
	}, {
		Key: "bitrate", Flag: "bitrate", Value: bitrate(&s.Bitrate),
		Help: "the most that is sent, in bit/s on the wire: VP8, headers and packets that are sent again",
		Notes: "over any 2 s at most 5 % above it; RTCP comes on top, 0.2 kbit/s. A stream begins with half of it " +
			"and goes as high as the network allows",
		Default: own("600k"),
	}, {
		Key: "speed", Flag: "speed", Value: number(&s.Speed, minSpeed, maxSpeed),
		Help:    "speed of the encoder (libvpx's cpu-used): the lower, the faster",
		Notes:   "`camsource bench` recommends one; [encoder.md](encoder.md) says what each costs",
		Default: own("-12"),
	}, {
		Key: "threads", Flag: "threads", Value: number(&s.Threads, minThreads, maxThreads),
		Help:    "threads of the encoder; more than one only pays where cores idle",
		Notes:   "`camsource bench` recommends a number",
		Default: own("1"),
	}}
}

// receiverSettings name a receiver and what it takes.
func (s *Stream) receiverSettings() []Setting {
	return []Setting{{
		Key: "rtp", Flag: "rtp", Value: text(&s.RTP, hostPortForm),
		Help:    "send the video (RTP) there, without a gateway; needs rtcp, too",
		Default: "ask the gateway",
	}, {
		Key: "rtcp", Flag: "rtcp", Value: text(&s.RTCP, hostPortForm),
		Help:    "send the reports (RTCP) there",
		Default: "ask the gateway",
	}, {
		Key: "local-rtcp-port", Flag: "local-rtcp-port", Value: number(&s.LocalRTCPPort, 1024, 65535),
		Help:    "our own port for RTCP, for a receiver that cannot learn it from what arrives",
		Default: "any free port",
	}, {
		Key: "rtx", Flag: "rtx", Value: toggle(&s.RTX),
		Help:    "the receiver takes lost packets again by RFC 4588, as payload type 97",
		Notes:   "without it they are sent again unchanged",
		Default: "as the gateway says, else false",
	}, {
		Key: "twcc", Flag: "twcc", Value: toggle(&s.TWCC),
		Help:    "the receiver reports when each packet arrived: number them in a header extension (ID 5)",
		Notes:   "transport-wide feedback; the bitrate then follows the network within a second",
		Default: "as the gateway says, else false",
	}, {
		Key: "capture-time", Flag: "capture-time", Value: toggle(&s.CaptureTime),
		Help:    "send the capture time of each frame in a header extension (RFC 6051, ID 4)",
		Default: "as the gateway says, else false",
	}}
}

// pathSettings decide how the stream treats the network.
func (s *Stream) pathSettings() []Setting {
	return []Setting{{
		Key: "mtu", Flag: "mtu", Value: number(&s.MTU, minMTU, maxMTU),
		Help: "the largest IP packet to send, in bytes",
		Notes: "the default fits nearly every path, VPNs and mobile networks included; " +
			"1500 saves 1 % of what is sent, where the path is known to carry it; " +
			"if packets of this size do not arrive, smaller ones are sent and the log says so",
		Default: "1228 with IPv4, 1248 with IPv6",
	}, {
		Key: "ping", Flag: "ping", Value: toggle(&s.Ping),
		Help:  "ask the receiver's host for echoes (ICMP) while its reports are too rare to show a queue",
		Notes: "five a second, 1.8 kbit/s; a host that never answers is asked every 10 s",
	}, {
		Key: "encryption", Guard: true, Value: choice(&s.Encryption, Required),
		Help:    "send nothing unencrypted: no stream without SRTP keys from the gateway",
		Notes:   "with `--rtp` it is refused",
		Default: "SRTP if the gateway gives keys, else plain RTP",
	}}
}

func (g *Gateway) settings() []Setting {
	return []Setting{{
		Key: "url", Flag: "gateway", Value: text(&g.URL, urlForm),
		Help:    "address of the gateway",
		Default: "none: nothing is sent",
	}, {
		Key: "key", Flag: "key", Value: text(&g.Key, keyForm), Secret: true,
		Help:    "API key for the gateway; a secret, which is safer in the file: ps shows a command line",
		Default: "none",
	}, {
		Key: "allow-http", Flag: "allow-http", Value: toggle(&g.AllowHTTP),
		Help: "the key may travel unencrypted: the gateway's address may begin with http:",
	}, {
		Key: "ca", Guard: true, Value: text(&g.CA, pemForm),
		Help:    "trust a gateway only if this authority signed its certificate",
		Default: "the public authorities",
	}, {
		Key: "allowed-receivers", Guard: true,
		Value: texts(&g.AllowedReceivers, receiverForm, `["10.0.0.0/8", "video.example"]`),
		Help:  "the only receivers that the gateway may name",
		Notes: "addresses, ranges of addresses, host names; the empty list `[]` allows nobody. Link-local addresses " +
			"(169.254.0.0/16, fe80::/10) need an entry for nothing else, unless the gateway itself has one",
		Default: "any unicast address but link-local ones",
	}, {
		Key: "allow-loopback", Flag: "allow-loopback", Value: toggle(&g.AllowLoopback),
		Help: "the gateway may name this machine itself as the receiver",
	}, {
		Key: "share-board", Value: toggle(&g.ShareBoard),
		Help: "the gateway is told which board this is, what it runs and how it fares",
		Notes: "serial number, model, version, slot, camera, uptime, temperature, undervoltage, and which update " +
			"failed and why; an operator of many boards needs it, and without it `camctl receive` offers no update",
	}}
}

func (t *Time) settings() []Setting {
	return []Setting{{
		Key: "ntp", Value: texts(&t.NTP, hostForm, `["192.168.1.1"]`),
		Help:    "time servers (NTP)",
		Default: "those that DHCP names; pool.ntp.org where none of all these answers",
	}}
}

func (u *Update) settings() []Setting {
	return []Setting{{
		Key: "keys", Value: texts(&u.Keys, updateKeyForm, `["RWQf6LRCGA9i53…"]`),
		Help: "public keys whose signed updates the board takes (minisign)",
		Notes: "`camctl keys new` makes one. They count where the running version brings no keys of its own; " +
			"without any key the board takes no update",
		Default: "those of the running version",
	}, {
		Key: "gokrazy", Value: toggle(&u.Gokrazy),
		Help: "serve gokrazy's own update protocol, too: it takes UNSIGNED roots from whoever has the password",
		Notes: "for owners who build with gokrazy's tools. Such a root is tried and judged like any other update; " +
			"status and console say that the board takes unsigned ones",
	}, {
		Key: "pull", Value: toggle(&u.Pull),
		Help: "fetch a signed update that the gateway offers",
	}}
}

func (w *Web) settings() []Setting {
	return []Setting{{
		Key: "password-hash", Value: text(&w.PasswordHash, bcryptForm), Secret: true,
		Help: "bcrypt hash of the password of the user admin; a secret",
		Notes: "`camctl flash` makes both; `htpasswd -nBC 10 admin` prints a hash, behind `admin:`. " +
			"Without it nobody may update or restart the board over the network",
		Default: "none: nothing can be changed over the network",
	}, {
		Key: "tls-certificate", Value: text(&w.TLSCertificate, pemForm),
		Help:    "certificate of the board's HTTPS",
		Notes:   "`camctl flash` makes one, with its key; a chain has the board's own first",
		Default: "the board makes one at its first start; the console shows its fingerprint",
	}, {
		Key: "tls-key", Value: text(&w.TLSKey, tlsKeyForm), Secret: true,
		Help:    "private key of that certificate; a secret",
		Notes:   "a key that does not fit is one line on the console, and the board makes a pair of its own",
		Default: "the board's own",
	}}
}

func (l *Log) settings() []Setting {
	return []Setting{{
		Key: "level", Value: level(&l.Level),
		Help: "how much is logged",
	}}
}

// Bounds of a bench. Fewer pictures measure nothing; more take an hour for each row on a
// BeagleBone. 16 speeds are all that there are.
const (
	minFrames, maxFrames = 20, 100_000
	maxItems             = 16
)

func (b *Bench) settings() []Setting {
	speed := func(n *int) Value { return number(n, minSpeed, maxSpeed) }
	threads := func(n *int) Value { return number(n, minThreads, maxThreads) }
	return []Setting{{
		Key: "once", Value: toggle(&b.Once),
		Help: "measure what the board can encode, once for each version of camsource",
		Notes: "also after each change of the settings below. It takes minutes, on a BeagleBone half an hour " +
			"(estimates); the console shows it, and `camctl bench` reads the result there. A bench that a power cut " +
			"ended is not begun again by itself: the next start says so and streams",
	}, {
		Key: "sizes", Flag: "sizes", Value: few(&b.Sizes, `["320x240", "640x480"]`, size),
		Help: "sizes to measure", Default: "320x240, 640x480, 1280x720",
	}, {
		Key: "speeds", Flag: "speeds", Value: few(&b.Speeds, "[-8, -12]", speed),
		Help: "speeds to measure each size with", Default: "-4, -8, -12, -16",
	}, {
		Key: "threads", Flag: "threads", Value: few(&b.Threads, "[1, 2]", threads),
		Help: "numbers of threads to measure each speed with", Default: "1 and 2, on a single core 1",
	}, {
		Key: "frames", Flag: "frames", Value: number(&b.Frames, minFrames, maxFrames),
		Help: "pictures to measure each of them with", Default: "300",
	}}
}
