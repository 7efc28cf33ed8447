package tlsfacts

// Resumption is what the server made of a session that was to be used again, for the summary of a run: what it accepted, as
// Reuse has it, and how long the two handshakes took, in microseconds; a time that is not known is 0. ok is false if the
// session was not to be used again, or if that was not found out (Reuse.Ended).
func (f *Finding) Resumption() (fullUS, resumedUS int64, method string, ok bool) {
	r := f.facts.Reuse
	if r == nil || !r.Ended {
		return 0, 0, "", false
	}
	return r.FullUS, r.ResumedUS, r.Method, true
}
