//go:build !unix

package openfile

// nonblock is nothing where opening does not wait.
const nonblock = 0
