// Package config is the configuration of a board and of camsource: the settings table, and
// the reader of krazycam.json, whose errors name key, file and line.
//
// The same JSON form is used for krazycam.json on /perm, for the seed on the boot partition and
// for the defaults in an image. A zero value always means "not said": the board's table, DHCP
// or the camera decides. The package owns nothing and starts nothing; rates are in bit/s,
// sizes in pixels.
//
// A setting is a field in this file and an entry in table.go: from there come the check of
// the file, camsource's flag with its help, and the table in docs/configuration.md.
package config

import (
	"fmt"
	"log/slog"

	"github.com/krazycam/krazycam/firmware/openfile"
)

// MaxBytes is the longest configuration that is read: a few hundred bytes of
// settings and a chain of CA certificates (about 2 KiB each) fit many times over.
const MaxBytes = 64 << 10

// Config holds every setting. Its zero value says nothing; begin with Default.
type Config struct {
	Camera  Camera
	Stream  Stream
	Gateway Gateway
	Time    Time
	Update  Update
	Web     Web
	Log     Log
	Bench   Bench
}

// Camera says which camera and how to read it.
type Camera struct {
	Device    string           // /dev/videoN, part of the card's name, serial number or USB port; "": the first camera
	Format    string           // "YUYV" or "MJPG"; "": the cheapest that gives size and rate
	PowerLine string           // "off", "50", "60" or "auto": against the flicker of lamps; "": as the camera is
	Controls  map[string]int64 // what else to set, by the names that v4l2-ctl uses; nil: nothing
}

// Stream says what is encoded, and where it goes without a gateway.
type Stream struct {
	Size    Size
	FPS     int     // pictures per second; 0: the board's own
	Bitrate Bitrate // the owner's upper limit, bit/s; 0: the board's own
	Speed   int     // of the encoder, -1 to -16, as encoder.Config has it; 0: the board's own
	Threads int     // of the encoder, 1 to 4; 0: the board's own
	RTP     string  // "HOST:PORT", or "" to ask the gateway
	RTCP    string  // "HOST:PORT", or "" to ask the gateway

	LocalRTCPPort int // from which RTCP is sent and to which a receiver may send it; 0: any free one

	RTX         bool // the receiver takes resends by RFC 4588; a gateway can say so, too
	TWCC        bool // the receiver reports when each packet arrived (transport-wide feedback)
	CaptureTime bool // each frame carries its capture time (RFC 6051)

	MTU int // bytes of the largest IP packet, 576 to 1500; 0: what fits nearly every path

	Ping bool // ask the receiver's host for echoes, to see a queue on the path; Default has true

	Encryption string // "required": nothing is streamed without keys of the gateway; "": as the gateway says
}

// Required is the only word that Stream.Encryption knows.
const Required = "required"

// Gateway says which gateway to ask for permission, and what its answers may make us do.
type Gateway struct {
	URL              string   // http or https; "": no gateway
	Key              string   // API key; a secret, never logged
	AllowHTTP        bool     // the key may travel over plain http
	CA               string   // PEM of the only authorities to trust; "": the system's
	AllowedReceivers []string // addresses, CIDR ranges, host names; nil: any but the forbidden; empty: none
	AllowLoopback    bool     // the receiver may be this machine itself
	ShareBoard       bool     // the gateway hears which board this is and how it fares; Default has true
}

// Time says which servers give the time.
type Time struct {
	NTP []string // host names or addresses; empty: DHCP's, then the program's own
}

// Update says whose updates a board takes, and by which ways.
type Update struct {
	Keys    []string // minisign public keys; they count if the running slot's own manifest has none
	Gokrazy bool     // gokrazy's own protocol is served, which takes unsigned roots
	Pull    bool     // the gateway may offer a signed update; Default has true
}

// Web says who may do what over the board's HTTPS. The image holds none of it: it is the card's identity.
type Web struct {
	PasswordHash   string // bcrypt's, of the user admin; "": nobody may change anything
	TLSCertificate string // PEM, the board's own first; "": the board makes a pair of its own
	TLSKey         string // PEM of its private key; a secret, never logged
}

// Log says how much is written to stderr.
type Log struct {
	Level slog.Level
}

// Bench says whether the board measures itself before it streams, and what. What is left
// out is as `camsource bench` has it without flags.
type Bench struct {
	Once    bool // once for each version of camsource and each change of the settings below
	Sizes   []Size
	Speeds  []int // negative, as encoder.Config has them
	Threads []int
	Frames  int // pictures for each row
}

// Default is the configuration of a board nobody configured.
func Default() Config {
	return Config{
		Stream: Stream{Ping: true}, Gateway: Gateway{ShareBoard: true}, Update: Update{Pull: true},
		Log: Log{Level: slog.LevelInfo},
	}
}

// Parse reads b, whose name in errors is file, over the defaults. With an error (of type
// *Error) it returns the defaults: a broken file must not stop a board.
func Parse(file string, b []byte) (Config, error) {
	return Default().With(file, b)
}

// Load reads the file at path over the defaults. A missing file gives the
// defaults and an error that satisfies errors.Is(err, fs.ErrNotExist).
func Load(path string) (Config, error) { return Default().readFile(path) }

// ImageDefaults is where an image carries what camctl image --config gave it.
const ImageDefaults = "/etc/krazycam.json"

func (c Config) readFile(path string) (Config, error) {
	b, err := openfile.Read(path, MaxBytes)
	if err != nil {
		return c, fmt.Errorf("configuration: %w", err)
	}
	return c.With(path, b)
}

// An Error is one thing wrong in a configuration file.
type Error struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"` // counted from 1; 0 when it is about more than one
	Key  string `json:"key,omitempty"`  // such as "stream.fps"; "" when no key is to blame
	Text string `json:"text"`           // what is wrong and what would be right; never a secret
}

// Error reads "krazycam.json:4: stream.fps: must be …".
func (e *Error) Error() string {
	where := e.File
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	if e.Key != "" {
		where += ": " + e.Key
	}
	return where + ": " + e.Text
}
