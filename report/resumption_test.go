package report

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// resumer is a Result with a second handshake.
type resumer struct {
	stubResult
	full, resumed int64
	method        string
	ok            bool
}

func resumed(method string, fullUS, resumedUS int64) *resumer {
	return &resumer{full: fullUS, resumed: resumedUS, method: method, ok: true}
}

// Resumption implements [Resumer].
func (r *resumer) Resumption() (int64, int64, string, bool) { return r.full, r.resumed, r.method, r.ok }

func TestSummaryResumption(t *testing.T) {
	s := NewSummary()
	add := func(r Result) {
		record := Record{Probe: "tls", Timing: NoTiming, Result: r}
		s.Add(&record)
	}
	add(&stubResult{"tls13"})
	add(&resumer{}) // there was no second handshake
	if got := s.Resumption(); got != nil {
		t.Fatalf("got %+v before any session was offered, want nil", got)
	}
	add(resumed("none", 400, 500))
	checkResumption(t, s, `{"methods":{"none":1}}`)
	add(resumed("session-id", 700, 0)) // its second handshake has no time, and the first nothing to be compared with
	add(resumed("none", 800, 0))
	checkResumption(t, s, `{"methods":{"none":2,"session-id":1}}`)
	text := summaryText(t, &Run{Start: testTime, End: testTime, Summary: s}, Style{})
	if want := "RESUMPTION  1 of 3 sessions resumed: 1 by session-id\n"; !strings.Contains(text, want) || strings.Contains(text, "\n  full") {
		t.Errorf("got\n%swant %q and no times", text, want)
	}
	add(resumed("ticket", 1000, 300))
	add(resumed("psk", 2000, 100))
	add(resumed("psk", 3000, 200))
	const full = `{"count":3,"min":1000,"mean":2000,"p50":2000,"p90":3000,"p99":3000,"p999":3000,"max":3000}`
	const again = `{"count":3,"min":100,"mean":200,"p50":200,"p90":300,"p99":300,"p999":300,"max":300}`
	checkResumption(t, s, `{"methods":{"none":2,"psk":2,"session-id":1,"ticket":1},"full_us":`+full+`,"resumed_us":`+again+`}`)
}

func checkResumption(t *testing.T, s *Summary, want string) {
	t.Helper()
	got, err := json.Marshal(s.Resumption())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("resumption differs (-want +got):\n%s", diff)
	}
	m := (&Run{Summary: s}).Metadata()
	if m.Resumption != s.Resumption() {
		t.Error("the metadata has another resumption than the summary")
	}
}

// TestResumptionMethodsAreBounded: a peer can't make the summary grow by its words.
func TestResumptionMethodsAreBounded(t *testing.T) {
	var s Summary
	for i := range 100 {
		s.addResumption(resumed(fmt.Sprint("method", i), 2, 1))
	}
	if got := len(s.resumption.methods); got != maxMethods {
		t.Errorf("got %d methods, want %d", got, maxMethods)
	}
	tried, accepted := s.resumption.tried()
	if tried != 100 || accepted != maxMethods-1 {
		t.Errorf("got %d tried and %d accepted, want 100 and %d", tried, accepted, maxMethods-1)
	}
}
