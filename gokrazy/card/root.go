// What every root holds, by its path in it.

package card

// BoardFile holds the name of the board that the root is for, and a newline.
const BoardFile = "etc/gokrazy/board"

// A RootProgram is a program that every root has.
type RootProgram struct {
	Path string
	Cgo  bool // built with cgo: the codecs are C
}

// RootPrograms lists them: what gokrazy starts, and our own.
func RootPrograms() []RootProgram {
	return []RootProgram{
		{"gokrazy/init", false},
		{"gokrazy/dhcp", false},
		{"gokrazy/ntp", false},
		{"gokrazy/slotwriter", false},
		{"user/camweb", false},
		{"user/camsource", true},
	}
}
