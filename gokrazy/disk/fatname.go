// Names on FAT: a short name of 8 and 3 capital letters, and where that does not
// say it all, a long one in the entries before. Spec: FAT 1.03, "Long Directory
// Entries".

package disk

import (
	"encoding/binary"
	"fmt"
	"strings"
)

const (
	fatLongUnits = 13 // UTF-16 units in one entry
	fatLongLast  = 0x40
	fatLowerBase = 0x08 // Windows NT's byte 12: the base is in small letters
	fatLowerExt  = 0x10

	fatShortChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'()-@^_`{}~"
)

// fatLongAt is where the units of a long name lie in its entries.
var fatLongAt = [fatLongUnits]int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30}

type fatName struct {
	short [11]byte
	lower byte   // fatLowerBase, fatLowerExt
	long  string // "" if the short name says it all
}

// newFATName finds a short name that is not taken yet and takes it.
func newFATName(name string, taken map[[11]byte]bool) (fatName, error) {
	if len(name) > maxName || strings.ContainsAny(name, "\\/:*?\"<>|") || strings.TrimRight(name, ". ") != name {
		return fatName{}, fmt.Errorf("name %q cannot be on FAT", name)
	}
	base, ext := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		base, ext = name[:i], name[i+1:]
	}
	if n, ok := plainShort(base, ext); ok && !taken[n.short] {
		taken[n.short] = true
		return n, nil
	}
	base, ext = shortChars(base, 8), shortChars(ext, 3)
	for i := 1; i < 1000; i++ {
		tail := fmt.Sprintf("~%d", i)
		n := fatName{long: name}
		copy(n.short[:], fmt.Sprintf("%-8s%-3s", base[:min(len(base), 8-len(tail))]+tail, ext))
		if !taken[n.short] {
			taken[n.short] = true
			return n, nil
		}
	}
	return fatName{}, fmt.Errorf("name %q: 999 others look like it", name)
}

// plainShort is for names that 8.3 can say, each part in one case.
func plainShort(base, ext string) (fatName, bool) {
	var n fatName
	if len(base) < 1 || len(base) > 8 || len(ext) > 3 {
		return n, false
	}
	for _, part := range []struct {
		text string
		flag byte
	}{{base, fatLowerBase}, {ext, fatLowerExt}} {
		upper := strings.ToUpper(part.text)
		switch {
		case strings.Trim(upper, fatShortChars) != "":
			return n, false
		case part.text == upper:
		case part.text == strings.ToLower(part.text):
			n.lower |= part.flag
		default:
			return n, false
		}
	}
	copy(n.short[:], fmt.Sprintf("%-8s%-3s", strings.ToUpper(base), strings.ToUpper(ext)))
	return n, true
}

// shortChars keeps what a short name may hold.
func shortChars(s string, limit int) string {
	kept := strings.Map(func(r rune) rune {
		if strings.ContainsRune(fatShortChars, r) {
			return r
		}
		return -1
	}, strings.ToUpper(s))
	return kept[:min(len(kept), limit)]
}

// fatChecksum ties long entries to their short one.
func fatChecksum(short [11]byte) (sum byte) {
	for _, c := range short {
		sum = sum>>1 | sum<<7
		sum += c
	}
	return sum
}

// fatLongEntries are in the order on disk: the end of the name first.
func fatLongEntries(n fatName) []byte {
	if n.long == "" {
		return nil
	}
	units := append(utf16Units(n.long), 0)
	for len(units)%fatLongUnits != 0 {
		units = append(units, 0xffff)
	}
	if len(utf16Units(n.long))%fatLongUnits == 0 { // an exact fit has no zero at its end
		units = units[:len(utf16Units(n.long))]
	}
	count := len(units) / fatLongUnits
	var out []byte
	for i := count; i >= 1; i-- {
		e := make([]byte, fatDirent)
		e[0] = byte(i)
		if i == count {
			e[0] |= fatLongLast
		}
		e[11], e[13] = fatAttrLong, fatChecksum(n.short)
		for j, at := range fatLongAt {
			binary.LittleEndian.PutUint16(e[at:], units[(i-1)*fatLongUnits+j])
		}
		out = append(out, e...)
	}
	return out
}

func fatShortEntry(n fatName, attr byte, first int64, size int) []byte {
	e := make([]byte, fatDirent)
	copy(e, n.short[:])
	e[11], e[12] = attr, n.lower
	for _, at := range []int{16, 18, 24} { // made, read, changed
		binary.LittleEndian.PutUint16(e[at:], fatNoDate)
	}
	binary.LittleEndian.PutUint16(e[26:], uint16(first))
	binary.LittleEndian.PutUint32(e[28:], uint32(size))
	return e
}
