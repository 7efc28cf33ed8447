package discovery

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"sonde/target"
	"sonde/watch/track"
)

// document is what one file or answer holds. It does not change once it is made.
type document struct {
	name   string            // the path or URL; empty for inline entries
	sum    [sha256.Size]byte // of its bytes
	groups []group
	faults []string // labels that were left out, at most maxFaults
	more   int      // such faults beyond
	isList bool     // of entries as scan reads them: blocks and ranges count
}

// group is entries that share labels.
type group struct {
	labels []track.Label // their own, sorted
	texts  []string
	lines  []int32 // the line of each text; nil if the document has none to tell
}

// place says where an entry stands: the i-th of the g-th group.
func (doc *document) place(g, i int) string {
	switch lines := doc.groups[g].lines; {
	case doc.name == "":
		return fmt.Sprintf("inline target %d", i+1)
	case lines != nil:
		return fmt.Sprintf("%s:%d", doc.name, lines[i])
	}
	return fmt.Sprintf("%s: group %d, target %d", doc.name, g+1, i+1)
}

// mark is a byte order mark, as some editors begin a file with it (RFC 3629 s.6).
const mark = "\xef\xbb\xbf"

// parseList reads a list with an entry a line. An entry that is too long is cut, so that whoever reads it refuses it.
func parseList(name string, data []byte) *document {
	var all group
	data = bytes.TrimPrefix(data, []byte(mark))
	for number := int32(1); len(data) > 0; number++ {
		line, rest, _ := bytes.Cut(data, []byte{'\n'})
		data = rest
		if text := target.TrimLine(line); len(text) > 0 {
			all.texts = append(all.texts, string(text[:min(len(text), maxText+1)]))
			all.lines = append(all.lines, number)
		}
	}
	return &document{name: name, groups: []group{all}, isList: true}
}

// wireGroup is a group as Prometheus writes it ("Configuration", <file_sd_config> and <http_sd_config>).
type wireGroup struct {
	Targets []string          `json:"targets" yaml:"targets"`
	Labels  map[string]string `json:"labels" yaml:"labels"`
}

// parseJSON reads [{"targets": [...], "labels": {...}}]. What a group has besides is an error, as with Prometheus.
func parseJSON(name string, data []byte) (*document, error) {
	if bytes.Count(data, []byte{','}) > maxCommas {
		return nil, fmt.Errorf("more than %d entries, groups and labels", maxCommas)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var groups []*wireGroup
	err := decoder.Decode(&groups)
	at := decoder.InputOffset()
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("it ends in the middle; is it being written?")
	case errors.As(err, &syntax):
		at = syntax.Offset
	case errors.As(err, &kind):
		at = kind.Offset
	case err == nil:
		if _, more := decoder.Token(); more != io.EOF {
			err = errors.New("something behind the list")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("line %d: %s", 1+bytes.Count(data[:min(int(at), len(data))], []byte{'\n'}), clip(err.Error()))
	}
	return newDocument(name, groups)
}

func newDocument(name string, groups []*wireGroup) (*document, error) {
	if groups == nil {
		return nil, errors.New("no list; one without targets is written []")
	}
	if len(groups) > MaxTargets {
		return nil, fmt.Errorf("%d groups: at most %d", len(groups), MaxTargets)
	}
	doc := &document{name: name, groups: make([]group, len(groups))}
	for i, wire := range groups {
		if wire == nil {
			return nil, fmt.Errorf("group %d is null", i+1)
		}
		labels, faults := ownLabels(wire.Labels)
		for _, fault := range faults {
			if len(doc.faults) == maxFaults {
				doc.more++
				continue
			}
			doc.faults = append(doc.faults, fmt.Sprintf("%s: group %d: %s", name, i+1, fault))
		}
		doc.groups[i] = group{labels: labels, texts: wire.Targets}
	}
	return doc, nil
}
