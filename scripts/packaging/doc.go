// Package packaging has no code. Below it are the programs that pack a release, one folder each; scripts/release and
// scripts/packages call them.
//
// They are a Go module of their own because of what they need: some forty modules that make packages and container
// images, none of which belongs in the go.mod of what runs on a board or on an owner's machine.
package packaging
