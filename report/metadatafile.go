package report

import (
	"encoding/json"
	"fmt"
)

// WriteMetadata writes m to path as indented JSON with a newline at its end, by [WriteWhole].
func WriteMetadata(path string, m *Metadata) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	return WriteWhole(path, append(text, '\n'), 0)
}
