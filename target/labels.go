package target

// labels keeps one string for each tag, as lists of millions of lines have few. The zero value is ready.
type labels struct{ known map[string]string }

// maxLabels bounds what labels keeps; tags beyond it are strings of their own.
const maxLabels = 1024

func (l *labels) intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if known, ok := l.known[string(b)]; ok {
		return known
	}
	label := string(b)
	if len(l.known) < maxLabels {
		if l.known == nil {
			l.known = make(map[string]string)
		}
		l.known[label] = label
	}
	return label
}
