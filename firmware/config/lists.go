// Settings that hold more than one value: lists, and the controls of a camera.

package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// texts takes any number of what has the form; example is the file's.
func texts(to *[]string, f form, example string) Value {
	return list(to, 0, MaxBytes, "a list, such as "+example, func(s *string) Value { return text(s, f) })
}

// few takes 1 to maxItems values.
func few[T any](to *[]T, example string, one func(*T) Value) Value {
	return list(to, 1, maxItems, fmt.Sprintf("a list of 1 to %d, such as %s", maxItems, example), one)
}

// list takes what one takes, low to high times.
func list[T any](to *[]T, low, high int, words string, one func(*T) Value) Value {
	var zero T
	item := one(&zero).Type
	t := Type{Kind: List, Hint: item.Hint + ",…", Form: words, Item: &item}
	take := func(value any) error {
		values, ok := value.([]any)
		if !ok || len(values) < low || len(values) > high {
			return t.wrongForm()
		}
		all := make([]T, len(values))
		for i, v := range values {
			err := one(&all[i]).take(v)
			if err != nil && item.Kind == Number { // its error does not name the value
				return fmt.Errorf("%v %w", v, err)
			}
			if err != nil {
				return err
			}
		}
		*to = all
		return nil
	}
	show := func() string {
		var all []string
		for i := range *to {
			all = append(all, one(&(*to)[i]).String())
		}
		return strings.Join(all, ",")
	}
	return Value{t, take, show}
}

// numbers takes names with whole numbers or switches, which count as 0 and 1.
func numbers(to *map[string]int64, example string) Value {
	t := Type{Kind: Object, Form: "an object, such as " + example}
	take := func(value any) error {
		members, ok := value.(map[string]any)
		if !ok {
			return t.wrongForm()
		}
		all := make(map[string]int64, len(members))
		for _, name := range slices.Sorted(maps.Keys(members)) {
			if !isControlName(name) {
				return fmt.Errorf("%q must be a name such as white_balance_automatic", name)
			}
			n, err := controlValue(members[name])
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			all[name] = n
		}
		*to = all
		return nil
	}
	show := func() string {
		var all []string
		for _, name := range slices.Sorted(maps.Keys(*to)) {
			all = append(all, fmt.Sprintf("%s=%d", name, (*to)[name]))
		}
		return strings.Join(all, ",")
	}
	return Value{t, take, show}
}

// controlValue reads a control: V4L2 has 32 bits for it.
func controlValue(value any) (int64, error) {
	switch v := value.(type) {
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 32); err == nil {
			return n, nil
		}
	}
	return 0, errors.New("must be a whole number of at most 32 bits, true or false")
}

// isControlName knows the names that v4l2-ctl writes for controls.
func isControlName(s string) bool {
	odd := func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_') }
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, odd)
}
