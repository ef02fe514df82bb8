// An image without the codecs must not be built at all: it would find out on the board.

//go:build gokrazy && !cgo

package encoder

var _ = camsource_for_an_image_needs_cgo__build_it_with_scripts_build
