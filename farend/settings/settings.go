// Package settings is what can be said of a server at the far end, and how: one table makes the keys
// of camserver's configuration file with their checks, its flags, its help by group, its manual page and
// the table in docs/camserver.md.
//
// A setting is a field of Settings and an entry in table.go. The package starts nothing; it opens the one
// file that Load is given.
package settings

import (
	"log/slog"
	"time"

	"github.com/krazycam/krazycam/farend/forward"
)

// Settings are all that can be said. Begin with Default.
type Settings struct {
	Gateway  Gateway
	Receiver Receiver
	State    State
	Record   Record
	Forward  Forward
	Operator Operator
	Cluster  Cluster
	Log      Log
}

// Gateway says where sources ask, and on what terms.
type Gateway struct {
	Listen      string // HOST:PORT of TCP
	Host        string // by which sources reach the gateway; "": an address of this machine
	TLS         bool   // https
	Certificate string // file of PEM; "": one is made and kept in the state folder
	Key         string // file of PEM, of Certificate
	Names       []string
	Proxies     []string // networks whose X-Forwarded-For counts
	SRTP        bool     // every stream is encrypted
	KeepAlive   time.Duration
}

// Receiver says where streams arrive.
type Receiver struct {
	Listen     string // host of the UDP sockets; "": that of Gateway.Listen
	Host       string // where sources are told to send; "": Gateway.Host, or the host that they asked
	Ports      Ports
	AnyAddress bool // a source that announced no SSRC may send from another address than it asks from
	Capacity   int  // streams at once
}

// State says where the server keeps what it must not forget.
type State struct {
	Folder   string
	Database string // URL of PostgreSQL; "": SQLite in Folder
}

// Record says what is kept of pictures.
type Record struct {
	Folder  string        // "": nothing is recorded
	Bytes   int64         // of one customer; 0: no limit
	Age     time.Duration // 0: no limit
	Segment time.Duration // of one file
}

// Forward says where streams go on to.
type Forward struct{ Rules []forward.Rule }

// Operator says how people and their monitoring ask.
type Operator struct {
	Listen       string // HOST:PORT of the API and of /metrics; "": nowhere
	PasswordFile string // "USER:PASSWORD" for the gateway's action admin; "": nobody may use it
}

// Cluster says how several servers find each other, which have one database.
type Cluster struct {
	Name   string // of this server
	Listen string // HOST:PORT where the others ask this one; "": they do not
	URL    string // by which they do; "": made of Listen and the host name

	TokensFile string // "NAME TOKEN" a line, of video servers of others that may join; "": none may
}

// Log says what is logged, and how.
type Log struct {
	Level  slog.Level
	Format string // text or json
}

// A Group is what belongs together in the file, in help and in the documentation.
type Group struct {
	Name     string // in the file
	Help     string
	Settings []Setting
}

// A Setting is one key of the file.
type Setting struct {
	Key     string // within its group
	Flag    string // without dashes; "": the file alone has it
	Value   Value  // what it takes, and its place in the Settings
	Help    string // what it decides, in one line of plain text
	Notes   string // what the documentation adds, in Markdown
	Default string // what counts where nothing is said, if the value in Default does not say it
}

// DefaultText says what counts where nothing is said, of a Setting that is bound to what Default gave.
func (s Setting) DefaultText() string {
	if s.Default != "" {
		return s.Default
	}
	return s.Value.String()
}

// Usage is the line of help of a flag, without its default.
func (s Setting) Usage() string {
	text := s.Help
	if s.Value.Kind != Switch {
		text += " (" + s.Value.Form + ")"
	}
	if d := s.DefaultText(); d != "" && d != "false" {
		text += "; default: " + d
	}
	return text
}
