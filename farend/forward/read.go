// The file of rules.

package forward

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/krazycam/krazycam/firmware/openfile"
)

// rulesLimit is far above what a person writes: 1,000 rules have 200 kB.
const rulesLimit = 4 << 20

// ReadRules reads and checks the operator's rules, a JSON list. The file has secrets: one that other users
// can read is refused.
func ReadRules(path string) ([]Rule, error) {
	b, err := openfile.ReadSecret(path, rulesLimit)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	rules, err := ParseRules(b)
	if err != nil {
		return nil, fmt.Errorf("rules: %s: %w", path, err)
	}
	return rules, nil
}

// ParseRules reads and checks a JSON list of rules. A member that no rule has is an error.
func ParseRules(b []byte) (rules []Rule, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&rules); err != nil {
		return nil, fmt.Errorf("line %d: %w", lineAt(b, d.InputOffset()), err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("line %d: something follows the list", lineAt(b, d.InputOffset()))
	}
	for i := range rules {
		if err := rules[i].Check(); err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
	}
	return rules, nil
}

func lineAt(b []byte, offset int64) int {
	return 1 + bytes.Count(b[:min(offset, int64(len(b)))], []byte("\n"))
}
