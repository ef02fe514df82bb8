// The archive's format, newc: per entry 110 bytes of hexadecimal text, the name, the
// bytes, each padded to four. Source: Linux, buffer-format.rst.

package initramfs

import (
	"fmt"
	"io"
)

const (
	newcMagic   = "070701"
	newcHeader  = 110 // 6 + 13 fields of 8 digits
	newcTrailer = "TRAILER!!!"

	// File types of st_mode.
	modeType   = 0o170000
	modeFolder = 0o040000
	modeFile   = 0o100000
	modeDevice = 0o020000 // of characters
)

// An archive is being written. The first error stays, and writeTrailer returns it. All
// belongs to root and was made in 1970: nothing looks at times before /init.
type archive struct {
	w     io.Writer
	inode uint32
	err   error
}

func (a *archive) addFolder(name string) { a.addEntry(name, modeFolder|0o755, 0, 0, nil) }

func (a *archive) addFile(name string, permissions uint32, b []byte) {
	a.addEntry(name, modeFile|permissions, 0, 0, b)
}

func (a *archive) addDevice(name string, permissions, major, minor uint32) {
	a.addEntry(name, modeDevice|permissions, major, minor, nil)
}

// writeTrailer writes the end mark.
func (a *archive) writeTrailer() error {
	a.inode = 0
	a.writeEntry(newcTrailer, 0, 0, 0, 0, nil)
	return a.err
}

func (a *archive) addEntry(name string, mode, major, minor uint32, b []byte) {
	a.inode++ // the kernel links entries of one number, so each has its own
	a.writeEntry(name, a.inode, mode, major, minor, b)
}

func (a *archive) writeEntry(name string, inode, mode, major, minor uint32, b []byte) {
	header := newcMagic
	for _, field := range []uint32{
		inode, mode, 0, 0, 1, 0, // uid, gid, one link, time
		uint32(len(b)), 0, 0, major, minor, uint32(len(name) + 1), 0, // device of the file, checksum
	} {
		header += fmt.Sprintf("%08x", field)
	}
	a.writeBytes([]byte(header + name + "\x00"))
	a.padToFour(newcHeader + len(name) + 1)
	a.writeBytes(b)
	a.padToFour(len(b))
}

// padToFour fills up to four bytes after n.
func (a *archive) padToFour(n int) { a.writeBytes(make([]byte, -n&3)) }

func (a *archive) writeBytes(b []byte) {
	if a.err == nil {
		_, a.err = a.w.Write(b)
	}
}
