package tlsfacts

import "testing"

func TestResumption(t *testing.T) {
	tests := map[string]struct {
		reuse *Reuse
		ok    bool
	}{
		"one connection":           {nil, false},
		"resumed":                  {&Reuse{Method: "psk", Offered: "psk", FullUS: 5, ResumedUS: 3, Ended: true}, true},
		"not resumed":              {&Reuse{Method: "none", Offered: "psk", FullUS: 5, ResumedUS: 3, Ended: true}, true},
		"by ID, which has no time": {&Reuse{Method: "session-id", Offered: "session-id", FullUS: 5, Ended: true}, true},
		"no session":               {&Reuse{Method: "none", Offered: "none", FullUS: 5, Ended: true}, true},
		"second connection failed": {&Reuse{Method: "none", Offered: "psk", FullUS: 5}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			facts := Facts{Reuse: tt.reuse}
			full, resumed, method, ok := facts.Finding(Judgement{}).Resumption()
			if ok != tt.ok {
				t.Fatalf("got ok %v, want %v", ok, tt.ok)
			}
			if ok && (full != 5 || resumed != tt.reuse.ResumedUS || method != tt.reuse.Method) {
				t.Errorf("got %d, %d and %q, want 5, %d and %q", full, resumed, method, tt.reuse.ResumedUS, tt.reuse.Method)
			}
		})
	}
}
