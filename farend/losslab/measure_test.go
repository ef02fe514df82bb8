//go:build linux

package losslab

import (
	"math"
	"strconv"
	"testing"
	"time"
)

// film is a run in which picture i left on time in one packet and was decoded 20 ms later,
// unless spoil says otherwise.
func film(n int, spoil func(i int, sent *mediaPacket, took *time.Duration, p *Picture)) trace {
	t := trace{start: time.Unix(1000, 0)}
	begin := 500 * ms
	for i := range n {
		at := begin + time.Duration(i)*pictureInterval
		took := 5 * ms
		m := mediaPacket{at: at, size: 2500, datagram: []byte(strconv.Itoa(i))}
		p := Picture{At: t.start.Add(at + 20*ms), Number: i, Sum: uint64(i)}
		if spoil != nil {
			spoil(i, &m, &took, &p)
		}
		t.sent = append(t.sent, m)
		if took >= 0 {
			came := m
			came.at += took
			t.came = append(t.came, came)
		}
		t.pictures = append(t.pictures, sentPicture{number: i, at: m.at, sum: uint64(i)})
		if !p.At.IsZero() {
			t.decoded = append(t.decoded, p)
		}
	}
	return t
}

func near(got, want float64) bool { return math.Abs(got-want) < 0.0015 }

func TestMeasureOfAPerfectRun(t *testing.T) {
	r := measureRun(Scenario{Length: 2 * second}, film(90, nil))
	if r.Source != 60 || r.Sent != 61 || r.Shown != 61 || r.Decoded != 61 || r.Intact != 61 || r.Lost != 0 {
		t.Errorf("%+v: want 61 pictures of 60 intervals, all whole", r)
	}
	if !near(r.P50, 0.020) || !near(r.Max, 0.020) || !near(r.Freeze, 0.0333) {
		t.Errorf("delays %v to %v, freeze %v, want 20 ms and one interval", r.P50, r.Max, r.Freeze)
	}
	if !near(r.Age95, 0.020) {
		t.Errorf("age %v, want that of each picture", r.Age95)
	}
	if want := 61 * 2500 * 8 / 2.0; !near(r.Rate/want, 1) {
		t.Errorf("%v bit/s, want %v", r.Rate, want)
	}
}

func TestMeasureTellsMissingDamagedAndChangedPictures(t *testing.T) {
	r := measureRun(Scenario{Length: 2 * second}, film(90,
		func(i int, _ *mediaPacket, took *time.Duration, p *Picture) {
			switch {
			case i >= 10 && i < 20: // lost, nothing came out
				*took, p.At = -1, time.Time{}
			case i >= 20 && i < 25: // came out without a number
				p.Number = -1
			case i == 30: // its number can be read, the rest is not what was sent
				p.Sum++
			case i == 40: // late
				p.At = p.At.Add(10 * ms)
			}
		}))
	if r.Sent != 61 || r.Shown != 51 || r.Decoded != 46 || r.Intact != 45 || r.Lost != 10 {
		t.Errorf("%+v: want 61 sent, 51 shown, 46 with a number, 45 intact, 10 packets lost", r)
	}
	if want := 16 * pictureInterval.Seconds(); !near(r.Freeze, want) {
		t.Errorf("freeze %v, want %v from picture 9 to 25", r.Freeze, want)
	}
	if !near(r.P95, 0.020) || !near(r.Max, 0.030) {
		t.Errorf("p95 %v, max %v, want 20 and 30 ms", r.P95, r.Max)
	}
	// Of 61 the fourth oldest: picture 13, which 25 had to stand for; and no less if 10 to 19
	// had not even left.
	if want := 12*pictureInterval.Seconds() + 0.020; !near(r.Age95, want) {
		t.Errorf("age %v, want %v", r.Age95, want)
	}
}

func TestAgeCountsPicturesThatNeverLeft(t *testing.T) {
	whole := film(90, nil)
	held := whole
	held.pictures, held.decoded = nil, nil
	for i := range 90 {
		if i < 10 || i >= 20 {
			held.pictures = append(held.pictures, whole.pictures[i])
			held.decoded = append(held.decoded, whole.decoded[i])
		}
	}
	r := measureRun(Scenario{Length: 2 * second}, held)
	if want := 7*pictureInterval.Seconds() + 0.020; !near(r.Age95, want) { // picture 13, for which 20 stands
		t.Errorf("age %v, want %v", r.Age95, want)
	}
}

func TestDelayCountsFromThePlaceInTheFilmNotFromALateFirstPacket(t *testing.T) {
	r := measureRun(Scenario{Length: 2 * second}, film(90, func(i int, m *mediaPacket, _ *time.Duration, p *Picture) {
		if i >= 10 { // the sender keeps everything for 100 ms
			m.at += 100 * ms
			p.At = p.At.Add(100 * ms)
		}
	}))
	if !near(r.P50, 0.120) {
		t.Errorf("p50 %v, want 120 ms", r.P50)
	}
}

func TestAStreamThatEndsIsAFreezeToTheEnd(t *testing.T) {
	r := measureRun(Scenario{Length: 2 * second}, film(90, func(i int, _ *mediaPacket, _ *time.Duration, p *Picture) {
		if i > 30 {
			p.At = time.Time{}
		}
	}))
	if !near(r.Freeze, 0.980) {
		t.Errorf("freeze %v, want 0.98 s from 1.02 to 2 s", r.Freeze)
	}
	if want := 26 * pictureInterval.Seconds(); !near(r.Age95, want) { // of 61 the fourth oldest: 34
		t.Errorf("age %v, want %v", r.Age95, want)
	}
	r = measureRun(Scenario{Length: second}, trace{pictures: []sentPicture{{number: 0}}})
	if r.Freeze != 1 || r.Shown != 0 {
		t.Errorf("%+v: nothing decoded, want a freeze of the whole second", r)
	}
}

func TestBottleneckCountsQueueAndWayBack(t *testing.T) {
	var sent, came []mediaPacket
	for i := range 4000 { // 100 packets of 1000 bytes a second: 800 kbit/s
		at := time.Duration(i) * 10 * ms
		if at >= 10*second && at < 24*second && i%2 == 1 { // half of it from 10 to 24 s
			continue
		}
		took := 5 * ms
		if at >= 10*second && at < 12*second { // the queue holds them for half a second
			took = 505 * ms
		}
		m := mediaPacket{at: at, size: 1000, datagram: []byte(strconv.Itoa(i))}
		sent = append(sent, m)
		m.at += took
		came = append(came, m)
	}
	b := measureBottleneck([]Step{{0, 1e6}, {10 * second, 4e5}, {20 * second, 1e6}}, matchTransits(sent, came))
	if !near(b.Before/1000, 800) {
		t.Errorf("before: %v bit/s, want 800 kbit/s", b.Before)
	}
	// The first is too late 305 ms after it left at 10 s, the last comes at 12.485 s.
	if !near(b.Over, 2.180) {
		t.Errorf("over 300 ms for %v s, want 2.18", b.Over)
	}
	// 80 % of the second must be at the full rate: 0.5 + 0.8/2 = 0.9.
	if b.Back < 4.75 || b.Back > 4.85 {
		t.Errorf("back after %v s, want 4.8", b.Back)
	}
	if b := measureBottleneck([]Step{{0, 1e6}, {10 * second, 4e5}, {23 * second, 1e6}},
		matchTransits(sent[:1700], came[:1700])); b.Back != -1 {
		t.Errorf("back after %v s in a run that ended before, want -1", b.Back)
	}
}

func TestSeriesPutsEverythingIntoItsBin(t *testing.T) {
	all := matchTransits([]mediaPacket{packet(0, "a"), packet(190*ms, "b"), packet(250*ms, "c")},
		[]mediaPacket{packet(10*ms, "a"), packet(230*ms, "b")})
	all[1].repeated = true
	s := makeSeries(time.Second, all, []shownPicture{{at: 450 * ms, delay: 33 * ms}, {at: 5 * second}})
	if len(s.Sent) != 5 || s.Sent[0] != 80 || s.Sent[1] != 40 || s.Came[0] != 40 || s.Came[1] != 40 {
		t.Errorf("sent %v, came %v kbit/s, want 80 40 and 40 40 in five bins", s.Sent, s.Came)
	}
	if s.Lost[1] != 1 || s.Resent[0] != 1 || s.Queue[1] != 30 || s.Pictures[2] != 1 || s.Delay[2] != 33 {
		t.Errorf("%+v", s)
	}
}
