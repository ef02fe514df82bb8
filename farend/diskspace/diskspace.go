// Package diskspace says how much may still be written to a file system. It owns nothing.
package diskspace

// A Space is that of one file system, in bytes.
type Space struct {
	Free uint64 // for whoever is not root
	Size uint64
}
