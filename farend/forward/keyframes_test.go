package forward

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestManyRequestsForAKeyFrameAreOneAtOnceAndOneLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		began, at := time.Now(), map[string][]time.Duration{}
		k := newKeyFrameRequests(func(id string) { at[id] = append(at[id], time.Since(began)) })
		done := make(chan struct{})
		go func() {
			defer close(done)
			k.run(ctx)
		}()
		for range 51 {
			k.add("a")
		}
		k.add("b")
		time.Sleep(10 * keyFrameInterval)
		k.add("a") // the rest is over
		synctest.Wait()
		stop()
		<-done
		a := at["a"]
		if len(a) != 3 || a[0] != 0 || a[1] < keyFrameInterval || a[1] > 3*keyFrameInterval/2 ||
			a[2] != 10*keyFrameInterval {
			t.Errorf("requests after %v, want one at once, one when %v are over and one later", a, keyFrameInterval)
		}
		if b := at["b"]; len(b) != 1 || b[0] != 0 {
			t.Errorf("requests for another stream after %v, want one at once", b)
		}
	})
}
