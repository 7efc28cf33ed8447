package tlsfacts

// Resumption is what a second connection made of the session of the first, for the summary of a run: how long the two
// handshakes took, in microseconds, and what the server accepted, as Reuse has it. ok is false if there was no second
// handshake, or one that came to no end.
func (f *Finding) Resumption() (fullUS, resumedUS int64, method string, ok bool) {
	r := f.facts.Reuse
	if r == nil || r.FullUS == 0 || r.ResumedUS == 0 {
		return 0, 0, "", false
	}
	return r.FullUS, r.ResumedUS, r.Method, true
}
