// Package fdt edits flattened device trees: a tree is read whole, changed and written again, or the
// bytes of a value are changed in place.
//
// The first is what a board's boot firmware does to a device tree before the kernel sees it: set a
// property, add a node, leave one out. The second is for a FIT image, whose bytes behind the tree must
// not move. Overlays and phandles are not resolved. A tree may be a stranger's: size, depth and number
// of nodes have limits.
//
// Source: Devicetree Specification 0.4, chapter 5 (flattened format, version 17).
package fdt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrDamaged is wrapped by every error about a tree that cannot be read.
var ErrDamaged = errors.New("damaged or no device tree")

// ErrNoNode means that a path leads nowhere.
var ErrNoNode = errors.New("no such node")

// Limits. The largest tree of a Raspberry Pi has 80 KB and 600 nodes; QEMU pads its own to 1 MiB.
const (
	maxSize  = 4 << 20
	maxDepth = 32
	maxItems = 50_000 // nodes and properties
	maxName  = 255    // of a property: many may share one name, which is copied for each
)

// A Tree is a device tree.
type Tree struct {
	Root     *Node
	reserved []byte // memory reservations, as they were
	bootCPU  uint32
}

// A Node has properties and nodes below it, in the order of the tree.
type Node struct {
	Name       string // with its unit address: "serial@7e201000"; "" for the root
	Properties []Property
	Nodes      []*Node
}

// A Property is a name and bytes, which only its reader knows the type of.
type Property struct {
	Name  string
	Value []byte
}

// Text is the value of a string property.
func Text(s string) []byte { return append([]byte(s), 0) }

// Cell is the value of a number of 32 bits.
func Cell(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// Set gives a property a value, and adds it if it is new.
func (n *Node) Set(name string, value []byte) {
	for i := range n.Properties {
		if n.Properties[i].Name == name {
			n.Properties[i].Value = bytes.Clone(value)
			return
		}
	}
	n.Properties = append(n.Properties, Property{name, bytes.Clone(value)})
}

// Property gives a property's value. Of a tree that was read it lies in the bytes that Parse got.
func (n *Node) Property(name string) (value []byte, ok bool) {
	for _, p := range n.Properties {
		if p.Name == name {
			return p.Value, true
		}
	}
	return nil, false
}

// Child gives the node of that name below n, and adds it if it is new.
func (n *Node) Child(name string) *Node {
	for _, c := range n.Nodes {
		if c.Name == name {
			return c
		}
	}
	c := &Node{Name: name}
	n.Nodes = append(n.Nodes, c)
	return c
}

// Find follows a path such as /soc/serial@7e201000; an error is an ErrNoNode.
func (t *Tree) Find(path string) (*Node, error) {
	n := t.Root
	for _, name := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' }) {
		i := slices.IndexFunc(n.Nodes, func(c *Node) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("%s: %w", path, ErrNoNode)
		}
		n = n.Nodes[i]
	}
	return n, nil
}

// Remove leaves a node out, with all below it; an error is an ErrNoNode.
func (t *Tree) Remove(path string) error {
	above, name := t.Root, path
	if at := strings.LastIndexByte(path, '/'); at >= 0 {
		var err error
		if above, err = t.Find(path[:at]); err != nil {
			return err
		}
		name = path[at+1:]
	}
	i := slices.IndexFunc(above.Nodes, func(c *Node) bool { return c.Name == name })
	if i < 0 {
		return fmt.Errorf("%s: %w", path, ErrNoNode)
	}
	above.Nodes = slices.Delete(above.Nodes, i, i+1)
	return nil
}
