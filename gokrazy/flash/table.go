// The partition table of a card: that of the image, with /perm up to the card's end. It is written
// here and nowhere else: a board never changes the table that it starts from.

package flash

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

const (
	// tableRoom is kept free at a card's end for the second table, as in an image.
	tableRoom = mib
	// tableSize is what the first table takes: MBR, header, 128 entries of 128 bytes.
	tableSize = (2 + 128*128/disk.SectorSize) * disk.SectorSize
)

// A cardTable is the table for one card.
type cardTable struct {
	table disk.Table
	grown bool   // it is not the image's own
	image []byte // first tableSize bytes of the image
	card  []byte // the same of the card
}

// tableFor gives the table for a card of room bytes, whole sectors. A card that is hardly larger than the image
// keeps the image's, and so does one with an image that is not laid out as ours.
func tableFor(image io.ReaderAt, size, room int64) (*cardTable, error) {
	t, err := disk.ReadTable(image, size)
	if err != nil {
		return nil, err
	}
	c := &cardTable{table: t}
	if len(t.Partitions) != card.Partitions {
		return c, nil
	}
	perm := &t.Partitions[card.Perm]
	// Whole erase blocks: nothing else lies in the last one.
	most := min(room-tableRoom-perm.Start, card.PermMost) &^ (blockSize - 1)
	if most <= perm.Size {
		return c, nil
	}
	perm.Size, c.table.Size, c.grown = most, room, true
	return c, nil
}

// permSize is what /perm has on the card, 0 if there is none.
func (c *cardTable) permSize() int64 {
	if len(c.table.Partitions) != card.Partitions {
		return 0
	}
	return c.table.Partitions[card.Perm].Size
}

// write puts the second table at the card's end and the first one into first, the beginning of the
// image, which the caller writes when all else is on the card.
func (c *cardTable) write(target io.WriterAt, first []byte) error {
	if !c.grown {
		return nil
	}
	c.image = bytes.Clone(first[:tableSize])
	if err := disk.WriteTable(splitWriter{first, target}, c.table); err != nil {
		return err
	}
	c.card = bytes.Clone(first[:tableSize])
	return nil
}

// asImage checks the table in the first block that was read back, and puts the image's in its place:
// what remains must be the image.
func (c *cardTable) asImage(first []byte) error {
	if !c.grown {
		return nil
	}
	if !bytes.Equal(first[:tableSize], c.card) {
		return fmt.Errorf("%w: another partition table: take another card", ErrReadBack)
	}
	copy(first, c.image)
	return nil
}

// compare reads both tables back from a card of room bytes.
func (c *cardTable) compare(target io.ReaderAt, room int64) error {
	if !c.grown {
		return nil
	}
	got, err := disk.ReadTable(target, room)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReadBack, err)
	}
	if got.Disk != c.table.Disk || got.Size != c.table.Size || !slices.Equal(got.Partitions, c.table.Partitions) {
		return fmt.Errorf("%w: another partition table: take another card", ErrReadBack)
	}
	return nil
}

// A splitWriter keeps in memory what belongs into the first bytes of a card.
type splitWriter struct {
	first []byte
	rest  io.WriterAt
}

func (s splitWriter) WriteAt(b []byte, at int64) (int, error) {
	if at+int64(len(b)) <= int64(len(s.first)) {
		return copy(s.first[at:], b), nil
	}
	return s.rest.WriteAt(b, at)
}
