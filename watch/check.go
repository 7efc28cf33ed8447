package watch

import (
	"sonde/internal/clock"
	"sonde/watch/config"
	"sonde/watch/modules"
)

// Checked is what a configuration means.
type Checked struct {
	Config  *config.Config
	Modules []*modules.Module // in the file's order
}

// Check reads a configuration, and the files that it names, and says what it means. Errors are those of New.
func Check(file string) (*Checked, error) {
	w := &Watch{options: Options{File: file}, clk: clock.NewSystem()}
	l, err := w.read(nil)
	if err != nil {
		return nil, err
	}
	c := &Checked{Config: l.config}
	for i := range l.config.Modules {
		c.Modules = append(c.Modules, l.modules[l.config.Modules[i].Name])
	}
	return c, nil
}
