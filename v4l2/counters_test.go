package v4l2

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCountersHaveAFieldANameAndASumForEachCause(t *testing.T) {
	var c counters
	for why := range causes {
		for range why + 1 {
			c.countBuffer(why)
		}
	}
	got := c.snapshot()
	if n := reflect.TypeFor[Counters]().NumField(); n != int(causes) {
		t.Errorf("%d fields for %d causes", n, causes)
	}
	for why, field := range got.causeFields() {
		if *field != uint64(why)+1 || causeNames[why] == "" {
			t.Errorf("cause %d, %q: %d, want %d", why, causeNames[why], *field, why+1)
		}
	}
	twice := got.Plus(got)
	if diff := cmp.Diff(got, twice.Since(got)); diff != "" || twice.Resized != 2*got.Resized {
		t.Errorf("twice less once (-want +got):\n%s", diff)
	}
	if n := len(got.LogValue().Group()); n != int(causes) {
		t.Errorf("%d of %d causes are logged", n, causes)
	}
	if some := (Counters{Truncated: 3}).LogValue().Group(); len(some) != 1 || some[0].String() != "truncated=3" {
		t.Errorf("logged %v, want what is not 0", some)
	}
}
