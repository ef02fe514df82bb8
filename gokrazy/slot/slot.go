// Package slot has the rules by which a card has two versions and always starts a whole one.
//
// A slot is a kernel with its boot files, in the folder a or b of the boot partition, and the root
// that belongs to it. Three places on a card say which slot starts, and which is tried once:
//
//	config.txt, tryboot.txt   os_prefix, for the boot firmware of a Raspberry Pi 4 or 5
//	the state sector          for U-Boot's script, on every other model
//
// A card may move between models, so all places that a card has are kept in step. Each is one
// sector, changed in place by one raw write that is flushed and read back before the next one: a
// power cut leaves each of them old or new, and both slots are whole whenever one is written. The
// order of the writes stands in switch.go.
//
// The package decides and writes sectors; it starts nothing, mounts nothing and owns no file. Its
// caller writes slots (slotwriter), judges them and restarts the board (init). Sizes and places are
// in bytes.
//
// Sources: Raspberry Pi documentation, "config.txt" (os_prefix, tryboot); U-Boot's documentation of
// the command env (import -t).
package slot

import "fmt"

// A Name names a slot; "" is none.
type Name string

// The slots.
const (
	A    Name = "a"
	B    Name = "b"
	None Name = ""
)

// ParseName takes "a" and "b".
func ParseName(text string) (Name, error) {
	if n := Name(text); n.Valid() {
		return n, nil
	}
	return None, fmt.Errorf("slot %q: there are a and b", text)
}

// OfPartition gives the slot whose root is partition number, as the kernel counts.
func OfPartition(number int) (Name, error) {
	for _, n := range []Name{A, B} {
		if n.RootPartition() == number {
			return n, nil
		}
	}
	return None, fmt.Errorf("partition %d holds no root", number)
}

// Valid says whether n is one of the two.
func (n Name) Valid() bool { return n == A || n == B }

// Other gives the other slot; None has none.
func (n Name) Other() Name {
	switch n {
	case A:
		return B
	case B:
		return A
	}
	return None
}

// Folder is the slot's on the boot partition.
func (n Name) Folder() string { return string(n) }

// RootPartition is the number of the partition that holds the slot's root, as the kernel counts; 0
// for None.
func (n Name) RootPartition() int {
	if !n.Valid() {
		return 0
	}
	return 1 + n.PartitionOffset()
}

// PartitionOffset is how many partitions the root lies behind the boot partition: the number behind
// PARTNROFF= in the slot's command line.
func (n Name) PartitionOffset() int {
	switch n {
	case A:
		return 1
	case B:
		return 2
	}
	return 0
}
