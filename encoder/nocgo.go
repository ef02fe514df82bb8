// An image without the codecs must fail at compile time and not on the board: the name below is
// declared nowhere.

//go:build gokrazy && !cgo

package encoder

var _ = camsource_for_an_image_needs_cgo__build_it_with_scripts_build
