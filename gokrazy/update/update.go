// Package update is the bundle: a signed version for one board, as it is made, carried, checked and
// kept until it is written into a slot.
//
// A Manifest lists what a slot holds: its root and the files of its folder on the boot partition,
// each with size and SHA-256. Its signature is minisign's, over the file's bytes, and is checked
// before they are parsed: Verify, then ParseManifest, then Permits. A bundle is a tar file of both
// and the parts; ReadBundle takes it from a stream that may be a stranger's. A Spool keeps what has
// come so far, over interruptions and power cuts. Every size comes from the signed manifest, never
// from the stream.
//
// Nothing in here uses the network: who receives is package pull or camweb, who writes slots is
// slotwriter. A Spool owns its folder; nothing else is owned between two calls. Sizes and offsets
// are in bytes.
//
// Sources: jedisct1.github.io/minisign (file formats, the hashed form), POSIX.1-2017 pax, "ustar
// Interchange Format".
package update

import (
	"errors"

	"github.com/krazycam/krazycam/gokrazy/card"
)

// Limits, in bytes where nothing else is said.
const (
	MaxManifest  = 256 << 10
	MaxSignature = 4 << 10
	MaxParts     = 1000 // parts
	MaxKeys      = 16   // keys
	MaxRoot      = card.RootSize
	// MaxBoot is for all files of a slot's folder, as FAT stores them, in clusters: two slots and
	// 12 MiB of boot firmware and licences share 220 MiB.
	MaxBoot = 104 << 20
	// MaxBundle is the longest bundle: what it holds, a header and padding for each.
	MaxBundle = MaxRoot + MaxBoot + MaxManifest + MaxSignature + (MaxParts+3)*2*tarBlock
)

// cluster is the unit that FAT16 gives out on a boot partition of ours.
const cluster = 4 << 10

// Why an update is refused, for errors.Is. The text around it says what was found.
var (
	ErrNoKey     = errors.New("this board takes no update: it has no update key")
	ErrKey       = errors.New("no public key of minisign")
	ErrSignature = errors.New("signature is wrong")
	ErrManifest  = errors.New("manifest is damaged")
	ErrFormat    = errors.New("manifest is of a later format")
	ErrBoard     = errors.New("made for another board")
	ErrLayout    = errors.New("needs another layout of the card")
	ErrOlder     = errors.New("not newer than what this board runs")
	ErrAlready   = errors.New("this board runs it already")
	ErrBundle    = errors.New("bundle is damaged")
	ErrPart      = errors.New("part is damaged")
	ErrSkip      = errors.New("more bytes were left out than are here")
	ErrNoSpace   = errors.New("no room for the update")
)
