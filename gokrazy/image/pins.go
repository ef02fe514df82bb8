//go:build pins

// Keeps the modules that only an image needs in go.mod: `go mod tidy` looks at
// every build tag, a build does not set this one. They hold the kernel and the
// boot firmware; camctl finds them in the module cache.

package image

import (
	_ "github.com/gokrazy/firmware"
	_ "github.com/gokrazy/kernel.rpi"
)
