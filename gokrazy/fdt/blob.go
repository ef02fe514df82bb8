// The flattened form: a header, memory reservations, a block of tokens and one of names.
// Test without a kernel: TestTreeIsWhatDtcReads, FuzzParse.

package fdt

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

const (
	headerSize = 40
	version    = 17
	compatible = 16 // the oldest version whose readers understand this

	tokenBegin = 1
	tokenEnd   = 2
	tokenProp  = 3
	tokenNop   = 4
	tokenDone  = 9
)

// Magic is the word, of 32 bits and big-endian, that every tree begins with.
const Magic = 0xd00dfeed

// Parse reads a tree. What follows it in b is not looked at. The values of its properties lie in b.
func Parse(b []byte) (*Tree, error) {
	if len(b) < headerSize || binary.BigEndian.Uint32(b) != Magic {
		return nil, fmt.Errorf("header: %w", ErrDamaged)
	}
	word := func(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
	size := word(4)
	if size < headerSize || size > maxSize || int64(size) > int64(len(b)) || word(20) < compatible {
		return nil, fmt.Errorf("header: %d bytes, version %d, in %d bytes: %w", size, word(20), len(b), ErrDamaged)
	}
	b = b[:size]
	tokens, err := block(b, word(8), word(36))
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	names, err := block(b, word(12), word(32))
	if err != nil {
		return nil, fmt.Errorf("names: %w", err)
	}
	t := &Tree{bootCPU: word(28)}
	if t.reserved, err = reservations(b, word(16)); err != nil {
		return nil, err
	}
	p := parser{rest: tokens, names: names}
	t.Root, err = p.tree()
	return t, err
}

func block(b []byte, at, size uint32) ([]byte, error) {
	if int64(at)+int64(size) > int64(len(b)) {
		return nil, fmt.Errorf("%d bytes at %d of %d: %w", size, at, len(b), ErrDamaged)
	}
	return b[at:][:size], nil
}

// reservations are pairs of 64 bits up to a pair of zeros, which is part of it.
func reservations(b []byte, at uint32) ([]byte, error) {
	const pair = 16
	for end := int64(at) + pair; end <= int64(len(b)); end += pair {
		if bytes.Equal(b[end-pair:end], make([]byte, pair)) {
			return bytes.Clone(b[at:end]), nil
		}
	}
	return nil, fmt.Errorf("memory reservations at %d have no end: %w", at, ErrDamaged)
}

// A parser walks the tokens.
type parser struct {
	rest, names []byte
	items       int
}

func (p *parser) tree() (*Node, error) {
	if token, err := p.token(); err != nil || token != tokenBegin {
		return nil, fmt.Errorf("no root: %w", ErrDamaged)
	}
	return p.node(0)
}

// token gives the next one that means something.
func (p *parser) token() (uint32, error) {
	for {
		n, err := p.word()
		if err != nil || n != tokenNop {
			return n, err
		}
	}
}

func (p *parser) word() (uint32, error) {
	if len(p.rest) < 4 {
		return 0, fmt.Errorf("the tokens end early: %w", ErrDamaged)
	}
	n := binary.BigEndian.Uint32(p.rest)
	p.rest = p.rest[4:]
	return n, nil
}

// take gives size bytes and skips what fills them up to a word.
func (p *parser) take(size uint32) ([]byte, error) {
	if int64(size) > int64(len(p.rest)) {
		return nil, fmt.Errorf("%d bytes of %d: %w", size, len(p.rest), ErrDamaged)
	}
	b := p.rest[:size]
	p.rest = p.rest[min(int64(len(p.rest)), (int64(size)+3)&^3):]
	return b, nil
}

// node reads what follows the token that begins a node.
func (p *parser) node(depth int) (*Node, error) {
	if p.items++; depth > maxDepth || p.items > maxItems {
		return nil, fmt.Errorf("%d deep, %d items: %w", depth, p.items, ErrDamaged)
	}
	end := bytes.IndexByte(p.rest, 0)
	if end < 0 {
		return nil, fmt.Errorf("a name without an end: %w", ErrDamaged)
	}
	name, err := p.take(uint32(end) + 1)
	if err != nil {
		return nil, err
	}
	n := &Node{Name: string(name[:end])}
	for {
		token, err := p.token()
		if err != nil {
			return nil, err
		}
		switch token {
		case tokenEnd:
			return n, nil
		case tokenProp:
			err = p.property(n)
		case tokenBegin:
			var c *Node
			c, err = p.node(depth + 1)
			n.Nodes = append(n.Nodes, c)
		default:
			err = fmt.Errorf("token %d: %w", token, ErrDamaged)
		}
		if err != nil {
			return nil, err
		}
	}
}

func (p *parser) property(n *Node) error {
	if p.items++; p.items > maxItems {
		return fmt.Errorf("%d items: %w", p.items, ErrDamaged)
	}
	size, err := p.word()
	if err != nil {
		return err
	}
	at, err := p.word()
	if err != nil {
		return err
	}
	if int64(at) >= int64(len(p.names)) {
		return fmt.Errorf("name at %d of %d: %w", at, len(p.names), ErrDamaged)
	}
	name, _, ok := bytes.Cut(p.names[at:], []byte{0})
	if !ok || len(name) > maxName {
		return fmt.Errorf("a property's name of %d bytes: %w", len(name), ErrDamaged)
	}
	value, err := p.take(size)
	if err != nil {
		return fmt.Errorf("property %s: %w", name, err)
	}
	n.Properties = append(n.Properties, Property{string(name), value})
	return nil
}

// Bytes writes the tree. Names and order are kept, so one tree gives one text.
func (t *Tree) Bytes() []byte {
	w := writer{at: map[string]uint32{}}
	w.node(t.Root)
	w.word(tokenDone)
	reserved := t.reserved
	if len(reserved) == 0 {
		reserved = make([]byte, 16)
	}
	tokensAt := headerSize + len(reserved)
	namesAt := tokensAt + len(w.tokens)
	size := namesAt + len(w.names)
	out := make([]byte, 0, size)
	for _, n := range []uint32{Magic, uint32(size), uint32(tokensAt), uint32(namesAt), headerSize, version, compatible,
		t.bootCPU, uint32(len(w.names)), uint32(len(w.tokens))} {
		out = binary.BigEndian.AppendUint32(out, n)
	}
	out = append(out, reserved...)
	out = append(out, w.tokens...)
	return append(out, w.names...)
}

type writer struct {
	tokens, names []byte
	at            map[string]uint32 // of a name in names
}

func (w *writer) word(n uint32) { w.tokens = binary.BigEndian.AppendUint32(w.tokens, n) }

func (w *writer) bytes(b []byte) {
	w.tokens = append(w.tokens, b...)
	w.tokens = append(w.tokens, make([]byte, -len(b)&3)...)
}

func (w *writer) node(n *Node) {
	w.word(tokenBegin)
	w.bytes(Text(n.Name))
	for _, p := range n.Properties {
		at, known := w.at[p.Name]
		if !known {
			at = uint32(len(w.names))
			w.at[p.Name] = at
			w.names = append(w.names, Text(p.Name)...)
		}
		w.word(tokenProp)
		w.word(uint32(len(p.Value)))
		w.word(at)
		w.bytes(p.Value)
	}
	for _, c := range n.Nodes {
		w.node(c)
	}
	w.word(tokenEnd)
}
