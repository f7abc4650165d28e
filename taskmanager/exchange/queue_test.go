package exchange

import "testing"

// The task may be done with END before the stream's reader has told the sender so: that must not look like a receiver
// that stopped before the end.
func TestConsumerThatStopsBehindEndAbortsNobody(t *testing.T) {
	for _, c := range []struct {
		name  string
		items []Kind
		want  bool
	}{{"before END", []Kind{Watermark}, true}, {"behind END", []Kind{Watermark, End}, false}} {
		aborted := false
		q := newQueue(1 << 10)
		q.produce(make(chan struct{}, 1), func() { aborted = true })
		for _, kind := range c.items {
			if err := q.push(item{kind: kind}); err != nil {
				t.Fatal(err)
			}
		}
		q.stop(errGone)
		if aborted != c.want {
			t.Errorf("stopped %s: aborted %v (expected %v)", c.name, aborted, c.want)
		}
	}
}
