// What each product consists of, by system.

package main

import "embed"

// files are the product's files that nobody builds: unit, rules, scripts of packages.
//
//go:embed files
var files embed.FS

// A kind is a form of package.
type kind string

const (
	deb kind = "deb"
	rpm kind = "rpm"
	apk kind = "apk"
	txz kind = "tar.xz"
)

// An architecture is one that programs are built for.
type architecture struct {
	folder string // as scripts/build and Debian call it
	nfpm   string // Go's name, from which nfpm makes those of deb, rpm and apk
	kinds  []kind
}

func architectures() []architecture {
	return []architecture{
		{"amd64", "amd64", []kind{deb, rpm, apk}},
		{"arm64", "arm64", []kind{deb, rpm, apk}},
		{"armhf", "arm7", []kind{deb}},
	}
}

// A product is a program that people install.
type product struct {
	name, section string
	summary       string
	description   string
	codecs        bool // links the C libraries of scripts/codecs
	man           []string
	files         []file
	depends       map[kind][]string
	recommends    []string // of deb and rpm; an apk can only depend
	service       *service // nil for none
}

// A service is what a product runs as, under a user of its own whose name is the product's.
type service struct {
	config string   // the owner's file
	groups []string // further ones of the user
	hint   string   // what the installation of a deb says at last
}

// A file of a package that is neither program, man page, completion nor document.
type file struct {
	source string // below files
	target string
	mode   uint32
	group  string // "" for root
	config bool   // the owner's: an upgrade leaves it
	only   []kind // nil for all
}

// scripts are names below files, "" for none.
type scripts struct{ preinstall, postinstall, preremove, postremove string }

// serviceScripts are those of every product that is a service. User and group exist before the rpm's and
// apk's files do (preinstall); a deb's postinst gives them their file.
func serviceScripts() map[kind]scripts {
	return map[kind]scripts{
		deb: {"", "deb.postinst", "deb.prerm", "deb.postrm"},
		rpm: {"rpm.pre", "rpm.post", "rpm.preun", "rpm.postun"},
		apk: {"apk.preinstall", "", "", ""},
	}
}

// products lists what there is to install.
func products() []product {
	return []product{camsource(), camserver(), camctl()}
}

func camsource() product {
	return product{
		name: "camsource", section: "video",
		summary: "streams a webcam as VP8 over RTP, with a gateway's permission",
		description: "camsource reads a webcam, encodes VP8 and sends RTP and RTCP to the\n" +
			"receiver that its gateway names: a krazycam board's program, on a PC.\n" +
			"It adapts bitrate and frame rate to the network, resends what was lost\n" +
			"and reopens a camera that hangs. The service begins once\n" +
			"/etc/krazycam/krazycam.json says where to send.",
		codecs: true,
		man:    []string{"camsource*.1", "krazycam.json.5"},
		files: []file{
			{source: "camsource.service", target: "/usr/lib/systemd/system/camsource.service", only: withSystemd()},
			{source: "camsource.sysusers", target: "/usr/lib/sysusers.d/camsource.conf", only: withSystemd()},
			{source: "camsource.rules", target: "/usr/lib/udev/rules.d/70-camsource.rules"},
			{source: "krazycam.json", target: "/etc/krazycam/krazycam.json", mode: 0o640, group: "camsource",
				config: true},
			{source: "krazycam.example.json", target: "/usr/share/doc/camsource/examples/krazycam.json"},
			{source: "camsource.overrides", target: "/usr/share/lintian/overrides/camsource", only: []kind{deb}},
			{source: "camsource.openrc", target: "/etc/init.d/camsource", mode: 0o755, only: []kind{apk}},
		},
		depends:    serviceDepends(),
		recommends: []string{"ca-certificates"}, // for a gateway of https
		service: &service{
			config: "/etc/krazycam/krazycam.json", groups: []string{"video"},
			hint: "camsource streams once /etc/krazycam/krazycam.json names a gateway; an example:\n" +
				"  /usr/share/doc/camsource/examples/krazycam.json; then: systemctl start camsource",
		},
	}
}

func serviceDepends() map[kind][]string {
	return map[kind][]string{deb: {"systemd | systemd-standalone-sysusers | systemd-sysusers"}}
}

func camserver() product {
	return product{
		name: "camserver", section: "video",
		summary: "grants, receives and records the streams of many cameras",
		description: "camserver is the far end of krazycam for one camera or a thousand: the\n" +
			"gateway that cameras ask whether they may send, the receiver of their\n" +
			"streams, recordings, an API and metrics. Several servers may share one\n" +
			"PostgreSQL; alone it keeps its own database.",
		man: []string{"camserver*.1"},
		files: []file{
			{source: "camserver.service", target: "/usr/lib/systemd/system/camserver.service", only: withSystemd()},
			{source: "camserver.sysusers", target: "/usr/lib/sysusers.d/camserver.conf", only: withSystemd()},
			{source: "camserver.json", target: "/etc/krazycam/camserver.json", mode: 0o640, group: "camserver",
				config: true},
			{source: "camserver.overrides", target: "/usr/share/lintian/overrides/camserver", only: []kind{deb}},
			{source: "camserver.openrc", target: "/etc/init.d/camserver", mode: 0o755, only: []kind{apk}},
		},
		depends:    serviceDepends(),
		recommends: []string{"ca-certificates"}, // for a WHIP server and a database with TLS
		service: &service{
			config: "/etc/krazycam/camserver.json",
			hint: "camserver runs: its password and the seed of a first camera are in /var/lib/camserver,\n" +
				"its settings in /etc/krazycam/camserver.json. Cameras need TCP 8443, UDP 5004 and 5005.",
		},
	}
}

func camctl() product {
	return product{
		name: "camctl", section: "video",
		summary: "makes, flashes and updates krazycam boards, and receives their streams",
		description: "camctl is the owner's side of krazycam: it writes an image onto a card,\n" +
			"updates boards over the network, and is gateway and receiver on a desk\n" +
			"(camctl receive).",
		man: []string{"camctl*.1"},
		files: []file{
			{source: "camctl.overrides", target: "/usr/share/lintian/overrides/camctl", only: []kind{deb}},
		},
	}
}

func withSystemd() []kind { return []kind{deb, rpm, txz} }
